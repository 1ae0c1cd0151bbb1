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

from client.data.imaging import video
from client.data.imaging.dicom.codecs import CODECS, Codec, Form, decoded
from client.data.imaging.dicom.deflate import DEFLATED, MemoryFile, inflated
from client.data.imaging.dicom.fragments import Frame, bytes_left, frames_of, read_fragments, read_frame, value_start
from client.data.imaging.dicom.frame_times import Clock
from client.data.imaging.dicom.header import read_header, transfer_syntax, whole
from client.data.imaging.dicom.photometric import Convert, converter, photometric
from client.data.imaging.dicom.regions import regions_of
from client.data.imaging.recording import U8, Recording, Region, Times, check_size, spread, unreadable

_MPEG_2 = ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101")
_VIDEO = tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(9))
"""MPEG-2, H.264, HEVC; each also as "fragmentable", with .1 behind the UID."""
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_CHUNK = 1 << 20


def open(path: Path) -> Recording:
    """Opens a DICOM file. Raises ClipError for what is no decodable ultrasound clip."""
    syntax = transfer_syntax(path)
    if syntax == DEFLATED:
        plain = inflated(path)
        return _opened(plain.path, _NATIVE[1], plain)
    return _opened(path, syntax, None)


def _opened(path: Path, syntax: str, held: MemoryFile | None) -> Recording:
    with path.open("rb") as file:
        header = read_header(file)
        rows, columns = whole(header, "Rows", 0), whole(header, "Columns", 0)
        check_size("DICOM", rows, columns)
        start = value_start(file, syntax == _NATIVE[0], syntax != _NATIVE[2])
        place = (rows, columns, str(header.get("Manufacturer") or ""), regions_of(header, rows, columns))
        clock, frames = Clock.of(header), max(1, whole(header, "NumberOfFrames", 1))
        if syntax.startswith(_VIDEO):
            stream = MemoryFile(_stream(file, start))
            return _Film(*place, clock, video.open(stream.path), syntax.startswith(_MPEG_2), stream)
        if syntax in _NATIVE:
            _check_native(header, frames, bytes_left(file, start))
            source: _Source = _Native(path, frames, converter(header, turned=False), held)
        elif syntax in CODECS:
            source = _compressed(path, file, start, header, CODECS[syntax])
        else:
            raise unreadable("DICOM", "a compression without a decoder here")
    return _Stack(*place, clock, frames, source)


@dataclass(frozen=True)
class _Native:
    """Uncompressed frames, by pydicom, which reads one at a time. held: the file in memory that `path` names."""

    path: Path = field(repr=False)
    frames: int
    convert: Convert
    held: MemoryFile | None

    def decode(self, indices: Sequence[int]) -> Iterator[U8]:
        with self.path.open("rb") as file, closing(_native(file, indices)) as found:
            for _ in indices:
                yield self.convert(_next(found))


@dataclass(frozen=True)
class _Compressed:
    """Frames compressed each by itself."""

    path: Path = field(repr=False)
    spans: tuple[Frame, ...] = field(repr=False)
    codec: Codec
    form: Form
    convert: Convert

    def decode(self, indices: Sequence[int]) -> Iterator[U8]:
        with self.path.open("rb") as file:
            for index in indices:
                yield self.convert(decoded(self.codec, read_frame(file, self.spans[index]), self.form))


_Source = _Native | _Compressed


def _compressed(path: Path, file: BinaryIO, start: int, header: Dataset, codec: Codec) -> _Compressed:
    frames = max(1, whole(header, "NumberOfFrames", 1))
    table = bytes(header.get("ExtendedOffsetTable") or b"")
    extended = np.frombuffer(table[: len(table) // 8 * 8], dtype="<u8").tolist()
    spans = frames_of(file, read_fragments(file, start), frames, extended)
    samples = whole(header, "SamplesPerPixel", 1)
    bits = 8 if whole(header, "BitsAllocated", 8) <= 8 else 16
    form = Form(int(header.Rows), int(header.Columns), samples, bits, photometric(header) == "RGB")
    return _Compressed(path, spans, codec, form, converter(header, codec.to_rgb))


def _check_native(header: Dataset, frames: int, there: int) -> None:
    """A header that claims more than the file holds is refused before memory is asked for."""
    values = whole(header, "Rows", 0) * whole(header, "Columns", 0) * whole(header, "SamplesPerPixel", 1)
    if photometric(header) == "YBR_FULL_422":
        values = values * 2 // 3
    needed = values * whole(header, "BitsAllocated", 8) // 8
    if needed <= 0 or frames * needed > there:
        raise unreadable("DICOM", f"{there // max(1, needed)} of {frames} frames")


def _native(file: BinaryIO, indices: Sequence[int]) -> Generator[npt.NDArray[Any], None, None]:
    return cast(Generator[npt.NDArray[Any], None, None], iter_pixels(file, indices=indices, raw=True))


def _next(frames: Iterator[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return next(frames)
    except Exception as error:  # pydicom raises any type on damaged headers; none of its text may pass
        raise unreadable("DICOM", f"damaged pixel data ({type(error).__name__})") from None


@dataclass(frozen=True)
class _Stack:
    """Pixel data in which every frame stands by itself."""

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: Clock
    frames: int
    source: _Source

    def glance(self, count: int) -> Sequence[U8]:
        return list(self.source.decode(spread(self.frames, count)))

    def pictures(self) -> Iterator[U8]:
        return self.source.decode(range(self.frames))

    def length(self) -> int:
        return self.frames

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        return self.clock.trusted(frames, frame_rate_hz)


@dataclass(frozen=True)
class _Film:
    """Pixel data that is an MPEG-2, H.264 or HEVC stream, decoded like a video file; the header tells the times.

    Attributes:
        rated: Whether the stream states its rate (MPEG-2 must; decoders make one up for the others).
        held: The file in memory that holds the stream.
    """

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: Clock
    recording: video.Video
    rated: bool
    held: MemoryFile

    def glance(self, count: int) -> Sequence[U8]:
        return self.recording.glance(count)

    def pictures(self) -> Iterator[U8]:
        yield from self.recording.pictures()  # a generator of this object, which holds the stream

    def length(self) -> int:
        return self.recording.length()

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        """The header's, then the manifest's, then the stream's own where it has any."""
        untold = frame_rate_hz is None and self.clock.times(frames) is None
        if untold and (self.rated or self.recording.stamps(frames) is not None):
            return self.recording.times(frames, None)
        return self.clock.trusted(frames, frame_rate_hz)


def _stream(file: BinaryIO, start: int) -> Iterator[bytes]:
    """The stream in all its fragments, in order: PS3.5 8.2.5 allows one, real files and .1 syntaxes have many."""
    for offset, length in read_fragments(file, start).spans:
        file.seek(offset)
        left = length
        while left and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
