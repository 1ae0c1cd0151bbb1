"""Frames of compressed pixel data: with and without offset tables, in one item or several, and cut off."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from made_clips import jpeg, moving_disc, write_dicom
from pydicom import dcmread

from client.data.imaging.clip import ClipError
from client.data.imaging.dicom import reader

BASELINE = "1.2.840.10008.1.2.4.50"
FRAMES = [jpeg(picture) for picture in moving_disc(4)]
TAGS = {"FrameTime": 100.0, "NumberOfFrames": 4, "Rows": 96, "Columns": 128}


def items(parts: list[bytes], table: list[int]) -> bytes:
    """Encapsulated pixel data of these fragments, with this offset table."""
    out = io.BytesIO()
    offsets = struct.pack(f"<{len(table)}L", *table)
    for part in (offsets, *parts):
        out.write(struct.pack("<HHL", 0xFFFE, 0xE000, len(part)) + part)
    out.write(struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
    return out.getvalue()


def even(part: bytes) -> bytes:
    return part + b"\0" * (len(part) % 2)


def halves() -> list[bytes]:
    parts = []
    for frame in map(even, FRAMES):
        middle = len(frame) // 4 * 2
        parts += [frame[:middle], frame[middle:]]
    return parts


def starts(parts: list[bytes], first: int = 1) -> list[int]:
    """Offsets of every `first`-th part."""
    return np.cumsum([0, *(8 + len(part) for part in parts)])[:-1:first].tolist()


def written(folder: Path, parts: list[bytes], table: list[int], **tags: object) -> Path:
    path = write_dicom(folder / "a.dcm", FRAMES, "YBR_FULL_422", {**TAGS, **tags}, BASELINE)
    data = dcmread(path)
    data.PixelData = items(parts, table)
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    return path


WHOLE = [even(frame) for frame in FRAMES]


@pytest.mark.parametrize(
    ("parts", "table"),
    [
        (WHOLE, []),
        (WHOLE, starts(WHOLE)),
        (WHOLE, [0, 7, 9, 11]),  # a table that hits no item: seen in exports that re-compressed the frames
        (halves(), []),
        (halves(), starts(halves(), 2)),
    ],
)
def test_every_way_of_cutting_gives_the_same_frames(tmp_path: Path, parts: list[bytes], table: list[int]) -> None:
    shown = np.stack(list(reader.open(written(tmp_path, parts, table)).pictures()))
    assert shown.shape == (4, 96, 128, 3)
    assert np.abs(shown.astype(int) - moving_disc(4)).mean() < 3


def test_an_extended_offset_table_is_followed(tmp_path: Path) -> None:
    """The basic table is empty then, and the fragments alone would make eight frames."""
    offsets = np.array(starts(halves(), 2), dtype="<u8").tobytes()
    lengths = np.zeros(4, dtype="<u8").tobytes()
    path = written(tmp_path, halves(), [], ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=lengths)
    assert len(list(reader.open(path).pictures())) == 4


def test_one_frame_in_many_fragments(tmp_path: Path) -> None:
    parts = [even(FRAMES[0])[at : at + 700] for at in range(0, len(FRAMES[0]), 700)]
    path = written(tmp_path, parts, [], NumberOfFrames=1)
    assert np.abs(next(reader.open(path).pictures()).astype(int) - moving_disc(4)[0]).mean() < 3


def test_a_file_of_a_single_frame_class_keeps_all_its_frames(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE, [], SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1")
    assert reader.open(path).length() == len(list(reader.open(path).pictures())) == 4


def test_fewer_fragments_than_frames_and_a_cut_file_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE[:3], [])
    with pytest.raises(ClipError, match="3 of 4 frames"):
        reader.open(path)
    path = written(tmp_path, WHOLE, [])
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ClipError, match="cut off"):
        reader.open(path)
