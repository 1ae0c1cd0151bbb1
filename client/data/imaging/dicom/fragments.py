"""Locate the frames of compressed pixel data in a DICOM file without reading them.

Compressed pixel data is a list of items (PS3.5 Annex A.4). An offset table maps items to frames; it may be
missing or wrong. Then their number decides, then the end marker of JPEG.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

from client.data.imaging.recording import unreadable_error

Span = tuple[int, int]
"""Offset in the file and length, bytes."""
Frame = tuple[Span, ...]

_PIXEL_DATA = (0x7FE0, 0x0010)
_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_JPEG_END = b"\xff\xd9"
_MAX_ITEMS = 1_000_000
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fragments:
    """The items of compressed pixel data: their spans, and the offsets of frames that the first item tells."""

    spans: Frame
    offsets: tuple[int, ...]


def find_value_start(file: BinaryIO, implicit: bool, little: bool) -> int:
    """Offset of the value of PixelData, of which `file` stands at the tag. Raises ClipError."""
    order = "<" if little else ">"
    head = file.read(8)
    if len(head) < 8 or struct.unpack(f"{order}HH", head[:4]) != _PIXEL_DATA:
        raise unreadable_error("DICOM", "no pixel data in the file")
    if not implicit:
        file.read(4)  # the length of OB and OW stands in four bytes of its own
    return file.tell()


def read_value_length(file: BinaryIO, start: int, little: bool) -> int:
    """Bytes of the native pixel data whose value starts at `start`: as stated, and no more than the file holds."""
    file.seek(start - 4)
    length: int = struct.unpack("<L" if little else ">L", file.read(4))[0]
    return min(length, count_bytes_left(file, start))


def count_bytes_left(file: BinaryIO, start: int) -> int:
    """Bytes of the file from `start` on."""
    return max(0, os.fstat(file.fileno()).st_size - start)


def read_fragments(file: BinaryIO, start: int) -> Fragments:
    """The items from `start`, where the offset table lies. Raises ClipError where the file ends within one."""
    size = os.fstat(file.fileno()).st_size
    file.seek(start)
    spans: list[Span] = []
    while len(head := file.read(8)) == 8:
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == _END:
            break
        at = file.tell()
        if (group, element) != _ITEM or length == _UNDEFINED or at + length > size:
            raise unreadable_error("DICOM", "pixel data that is cut off or damaged")
        if len(spans) == _MAX_ITEMS:
            raise unreadable_error("DICOM", "pixel data in more than a million items")
        spans.append((at, length))
        file.seek(length, os.SEEK_CUR)
    if not spans:
        raise unreadable_error("DICOM", "compressed pixel data without an item")
    table = _read_span(file, spans[0])
    offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    return Fragments(tuple(spans[1:]), offsets)


def count_frames(file: BinaryIO, fragments: Fragments, extended: Sequence[int] = ()) -> int:
    """How many frames are stored: by the offset tables or by end markers, whichever has more; 0 where neither tells."""
    by_table = [_split_by_offsets(fragments.spans, offsets) or () for offsets in (extended, fragments.offsets)]
    ended = len(_split_at_ends(file, fragments.spans))
    return max(*map(len, by_table), ended)


def assign_frames(file: BinaryIO, fragments: Fragments, frames: int, extended: Sequence[int] = ()) -> tuple[Frame, ...]:
    """The spans of each frame. extended: of the Extended Offset Table, where there is one.

    Raises ClipError where there are fewer frames than stated. More than stated are left out.
    """
    spans = fragments.spans
    found = next(
        (
            groups
            for offsets in (extended, fragments.offsets)
            if (groups := _split_by_offsets(spans, offsets)) is not None and len(groups) >= frames
        ),
        None,
    )
    if found is None:
        found = _split_without_table(file, spans, frames)
    if len(found) < frames:
        raise unreadable_error("DICOM", f"{len(found)} of {frames} frames")
    return tuple(found[:frames])


def read_frame(file: BinaryIO, frame: Frame) -> bytes:
    """The bytes of one frame."""
    return b"".join(_read_span(file, span) for span in frame)


def _read_span(file: BinaryIO, span: Span) -> bytes:
    file.seek(span[0])
    return file.read(span[1])


def _split_by_offsets(spans: Frame, offsets: Sequence[int]) -> list[Frame] | None:
    """Frames that start at the offsets, which count from the first item's tag; None where they hit no items."""
    starts = {span[0] - 8 - (spans[0][0] - 8): number for number, span in enumerate(spans)}
    if not offsets or offsets[0] != 0 or any(offset not in starts for offset in offsets):
        return None
    firsts = [starts[offset] for offset in offsets]
    if any(one >= other for one, other in pairwise(firsts)):
        return None
    return [spans[one:other] for one, other in zip(firsts, [*firsts[1:], len(spans)], strict=True)]


def _split_without_table(file: BinaryIO, spans: Frame, frames: int) -> list[Frame]:
    if frames == 1:
        return [spans]
    if len(spans) <= frames:
        return [(span,) for span in spans]
    return _split_at_ends(file, spans) or [(span,) for span in spans]


def _split_at_ends(file: BinaryIO, spans: Frame) -> list[Frame]:
    """Frames that end with the end marker of JPEG, which JPEG-LS and JPEG 2000 have, too; none where no item has it."""
    groups: list[Frame] = []
    first = 0
    for number, span in enumerate(spans):
        tail = _read_span(file, (span[0] + max(0, span[1] - 4), min(4, span[1]))).rstrip(b"\0")
        if tail.endswith(_JPEG_END):
            groups.append(spans[first : number + 1])
            first = number + 1
    return groups


def iterate_stream(file: BinaryIO, start: int) -> Iterator[bytes]:
    """The stream in all its fragments, in order: PS3.5 8.2.5 allows one, real files and .1 syntaxes have many."""
    for offset, length in read_fragments(file, start).spans:
        file.seek(offset)
        left = length
        while left and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
