"""Detect truncated video files: the size that the container states against the size of the file.

Frame counts are wrong in good files too (VC-1 states twice its frames), sizes in bytes are not. A truncated clip still
plays to the cut, and its curve would end there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_UNKNOWN = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""Sizes that recorders leave in place while they write."""
_MAX_BOXES = 100_000


def compute_missing_share(path: Path) -> float:
    """The share of the stated bytes that lies beyond the file's end; 0 where the container states none."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(16)
        if head[:4] == b"RIFF":
            stated = _parse_riff_size(head)
        elif head == _ASF_HEADER:
            stated = _read_asf_size(file)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            stated = _find_last_box_end(file, size)
        else:
            return 0.0
    return max(0, stated - size) / max(1, stated)


def _parse_riff_size(head: bytes) -> int:
    length = int.from_bytes(head[4:8], "little")
    return 0 if length in _UNKNOWN else 8 + length


def _read_asf_size(file: BinaryIO) -> int:
    """The file size of the File Properties Object, which lies within the first objects of the header."""
    head = file.read(4096)
    at = head.find(_ASF_FILE)
    return 0 if at < 0 or len(head) < at + 48 else int.from_bytes(head[at + 40 : at + 48], "little")


def _find_last_box_end(file: BinaryIO, size: int) -> int:
    """Where the last of an MP4 file's outer boxes ends."""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if length < 8:  # 0: to the end of the file
            return size
        at += length
        if at >= size:
            break
    return at
