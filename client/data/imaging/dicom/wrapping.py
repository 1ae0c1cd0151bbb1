"""DICOM files that are not laid out as PS3.10 says: without the preamble, or packed with gzip."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from client.data.imaging.dicom.deflate import MemoryFile
from client.data.imaging.recording import missing_file_error, unreadable_error

_GZIP = b"\x1f\x8b\x08"
_MARK, _AT = b"DICM", 128
_META_GROUP = b"\x02\x00\x00\x00UL\x04\x00"
"""The first element of the file meta information: its group length, in explicit little endian."""
_CHUNK = 1 << 20
_MOST_BYTES = 1 << 30
"""As of deflated files: a small file can claim a thousand times its own size."""


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is packed with gzip."""
    return head.startswith(_GZIP)


def read_packed_head(path: Path, length: int) -> bytes:
    """The first bytes of what a packed file holds, b"" where it is damaged. Raises OSError of the file itself."""
    with path.open("rb") as file:
        try:
            with cast(BinaryIO, gzip.open(file)) as plain:
                return plain.read(length)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return b""


def unwrap(path: Path) -> MemoryFile | None:
    """The file as PS3.10 has it, in memory; None where it is so already, or is no DICOM. Raises ClipError."""
    try:
        with path.open("rb") as file:
            head = file.read(_AT + len(_MARK))
            file.seek(0)
            if is_packed(head):
                return _unpack(file)
            if head.startswith(_META_GROUP) and head[_AT:] != _MARK:
                return MemoryFile(_prefix(file, b""))
    except FileNotFoundError:
        raise missing_file_error() from None
    return None


def _unpack(file: BinaryIO) -> MemoryFile:
    try:
        with cast(BinaryIO, gzip.open(file)) as plain:
            head = plain.read(_AT + len(_MARK))
            bare = head.startswith(_META_GROUP) and head[_AT:] != _MARK
            return MemoryFile(_prefix(plain, head) if bare else _read(plain, head))
    except (EOFError, OSError, zlib.error) as error:
        raise unreadable_error("DICOM", f"damaged compression ({type(error).__name__})") from None


def _prefix(file: BinaryIO, head: bytes) -> Iterator[bytes]:
    yield bytes(_AT) + _MARK
    yield from _read(file, head)


def _read(file: BinaryIO, head: bytes) -> Iterator[bytes]:
    yield head
    written = len(head)
    while chunk := file.read(_CHUNK):
        written += len(chunk)
        if written > _MOST_BYTES:
            raise unreadable_error("DICOM", "a packed file of more than 1 GiB")
        yield chunk
