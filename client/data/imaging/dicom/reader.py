"""Ultrasound DICOM, single or multi-frame, in any transfer syntax, decoded frame by frame to RGB."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels

from client.data.imaging.dicom.codecs import CODECS, Codec, PixelFormat, decode_frame
from client.data.imaging.dicom.deflate import DEFLATED, MemoryFile, inflate
from client.data.imaging.dicom.fragments import (
    Frame,
    assign_frames,
    count_bytes_left,
    find_value_start,
    read_fragments,
    read_frame,
)
from client.data.imaging.dicom.frame_times import HeaderTimes
from client.data.imaging.dicom.header import read_header, read_transfer_syntax, read_whole_number
from client.data.imaging.dicom.photometric import Convert, make_converter, read_photometric
from client.data.imaging.dicom.regions import list_regions
from client.data.imaging.pane_levels import Pane, convert_pictures
from client.data.imaging.recording import U8, Recording, Region, Times, check_size, spread_indices, unreadable_error
from client.data.imaging.video.reader import Video, open_video

_VIDEO = tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(9))
"""MPEG-2, H.264, HEVC; each also as "fragmentable", with .1 behind the UID."""
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_CHUNK = 1 << 20


def open(path: Path) -> Recording:
    """Opens a DICOM file. Raises ClipError for what is no decodable ultrasound clip."""
    syntax = read_transfer_syntax(path)
    if syntax == DEFLATED:
        plain = inflate(path)
        return _open_recording(plain.path, _NATIVE[1], plain)
    return _open_recording(path, syntax, None)


def _open_recording(path: Path, syntax: str, held: MemoryFile | None) -> Recording:
    with path.open("rb") as file:
        header = read_header(file)
        rows, columns = read_whole_number(header, "Rows", 0), read_whole_number(header, "Columns", 0)
        check_size("DICOM", rows, columns)
        start = find_value_start(file, syntax == _NATIVE[0], syntax != _NATIVE[2])
        place = (rows, columns, str(header.get("Manufacturer") or ""), list_regions(header, rows, columns))
        clock, frames = HeaderTimes.from_header(header), max(1, read_whole_number(header, "NumberOfFrames", 1))
        if syntax.startswith(_VIDEO):
            stream = MemoryFile(_iterate_stream(file, start))
            recording = open_video(stream.path, square=False)
            if (recording.rows, recording.columns) != (rows, columns):
                raise unreadable_error("DICOM", "a stream of another size than the header says")
            return _VideoRecording(*place, clock, recording, stream)
        if syntax in _NATIVE:
            _check_native(header, frames, count_bytes_left(file, start))
            source: _Source = _NativeFrames(path, frames, make_converter(header, turned=False), held)
        elif syntax in CODECS:
            source = _index_compressed(path, file, start, header, CODECS[syntax])
        else:
            raise unreadable_error("DICOM", "a compression without a decoder here")
    return _FrameRecording(*place, clock, frames, source)


@dataclass(frozen=True)
class _NativeFrames:
    """Uncompressed frames, by pydicom, which reads one at a time. held: the file in memory that `path` names."""

    path: Path = field(repr=False)
    frames: int
    convert: Convert
    held: MemoryFile | None

    def decode(self, indices: Sequence[int], overwrite: bool = False) -> Iterator[U8]:
        with self.path.open("rb") as file, closing(_iterate_native(file, indices)) as found:
            for _ in indices:
                yield self.convert(_read_next(found))


@dataclass(frozen=True)
class _CompressedFrames:
    """Frames compressed each by itself."""

    path: Path = field(repr=False)
    spans: tuple[Frame, ...] = field(repr=False)
    codec: Codec
    form: PixelFormat
    convert: Convert

    def decode(self, indices: Sequence[int], overwrite: bool = False) -> Iterator[U8]:
        """overwrite: each picture may be put where the last one was."""
        room = np.empty(self.form.shape, np.uint8) if overwrite else None
        with self.path.open("rb") as file:
            for index in indices:
                yield self.convert(decode_frame(self.codec, read_frame(file, self.spans[index]), self.form, room))


_Source = _NativeFrames | _CompressedFrames


def _index_compressed(path: Path, file: BinaryIO, start: int, header: Dataset, codec: Codec) -> _CompressedFrames:
    frames = max(1, read_whole_number(header, "NumberOfFrames", 1))
    table = bytes(header.get("ExtendedOffsetTable") or b"")
    extended = np.frombuffer(table[: len(table) // 8 * 8], dtype="<u8").tolist()
    spans = assign_frames(file, read_fragments(file, start), frames, extended)
    samples = read_whole_number(header, "SamplesPerPixel", 1)
    bits = 8 if read_whole_number(header, "BitsAllocated", 8) <= 8 else 16
    form = PixelFormat(int(header.Rows), int(header.Columns), samples, bits, read_photometric(header) == "RGB")
    return _CompressedFrames(path, spans, codec, form, make_converter(header, codec.to_rgb))


def _check_native(header: Dataset, frames: int, there: int) -> None:
    """A header that claims more than the file holds is refused before memory is asked for."""
    values = (
        read_whole_number(header, "Rows", 0)
        * read_whole_number(header, "Columns", 0)
        * read_whole_number(header, "SamplesPerPixel", 1)
    )
    if read_photometric(header) == "YBR_FULL_422":
        values = values * 2 // 3
    needed = values * read_whole_number(header, "BitsAllocated", 8) // 8
    if needed <= 0 or frames * needed > there:
        raise unreadable_error("DICOM", f"{there // max(1, needed)} of {frames} frames")


def _iterate_native(file: BinaryIO, indices: Sequence[int]) -> Generator[npt.NDArray[Any], None, None]:
    return cast(Generator[npt.NDArray[Any], None, None], iter_pixels(file, indices=indices, raw=True))


def _read_next(frames: Iterator[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return next(frames)
    except Exception as error:  # pydicom raises any type on damaged headers; none of its text may pass
        raise unreadable_error("DICOM", f"damaged pixel data ({type(error).__name__})") from None


@dataclass(frozen=True)
class _FrameRecording:
    """Pixel data in which every frame stands by itself."""

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: HeaderTimes
    frames: int
    source: _Source

    def sample_pictures(self, count: int) -> Sequence[U8]:
        return list(self.source.decode(spread_indices(self.frames, count)))

    def pictures(self) -> Iterator[U8]:
        return self.source.decode(range(self.frames))

    def levels(self, panes: Sequence[Pane]) -> Iterator[tuple[U8, ...]]:
        return convert_pictures(self.source.decode(range(self.frames), overwrite=True), panes)

    def length(self) -> int:
        return self.frames

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        return self.clock.resolve(frames, frame_rate_hz)


@dataclass(frozen=True)
class _VideoRecording:
    """Pixel data that is an MPEG-2, H.264 or HEVC stream, decoded like a video file; the header tells the times.

    Attributes:
        held: The file in memory that holds the stream.
    """

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: HeaderTimes
    recording: Video
    held: MemoryFile

    def sample_pictures(self, count: int) -> Sequence[U8]:
        return self.recording.sample_pictures(count)

    def pictures(self) -> Iterator[U8]:
        yield from self.recording.pictures()  # a generator of this object, which holds the stream

    def levels(self, panes: Sequence[Pane]) -> Iterator[tuple[U8, ...]]:
        yield from self.recording.levels(panes)  # as above

    def length(self) -> int:
        return self.recording.length()

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        """The header's, then the manifest's, then the stream's own where it has any."""
        untold = frame_rate_hz is None and self.clock.find_times(frames) is None
        return (self.recording.find_stamped_times() if untold else None) or self.clock.resolve(frames, frame_rate_hz)


def _iterate_stream(file: BinaryIO, start: int) -> Iterator[bytes]:
    """The stream in all its fragments, in order: PS3.5 8.2.5 allows one, real files and .1 syntaxes have many."""
    for offset, length in read_fragments(file, start).spans:
        file.seek(offset)
        left = length
        while left and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
