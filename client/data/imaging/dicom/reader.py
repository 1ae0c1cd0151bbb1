"""Ultrasound DICOM, single or multi-frame, in any transfer syntax, decoded frame by frame to RGB."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels

from client.data.imaging.dicom import directory
from client.data.imaging.dicom.codecs import CODECS, Codec, PixelFormat, decode_frame
from client.data.imaging.dicom.colours import check_colours
from client.data.imaging.dicom.deflate import DEFLATED, MemoryFile, inflate
from client.data.imaging.dicom.fragments import (
    Frame,
    assign_frames,
    count_bytes_left,
    count_frames,
    find_value_start,
    iterate_stream,
    read_fragments,
    read_frame,
    read_value_length,
)
from client.data.imaging.dicom.frame_times import HeaderTimes
from client.data.imaging.dicom.header import (
    read_header,
    read_storage_class,
    read_transfer_syntax,
    read_whole_number,
)
from client.data.imaging.dicom.photometric import Convert, make_converter, read_photometric
from client.data.imaging.dicom.regions import list_regions
from client.data.imaging.dicom.wrapping import unwrap
from client.data.imaging.pane_levels import Pane, convert_pictures
from client.data.imaging.recording import (
    U8,
    Glances,
    Recording,
    Region,
    Times,
    check_size,
    colours_error,
    spread_indices,
    unreadable_error,
)
from client.data.imaging.video.reader import Video, open_video
from client.faults.fault import Doubt

_VIDEO = tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(9))
"""MPEG-2, H.264, HEVC; each also as "fragmentable", with .1 behind the UID."""
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_RLE = "1.2.840.10008.1.2.5"


def open(path: Path) -> Recording:
    """Opens a DICOM file, or the one clip that a DICOMDIR lists. Raises ClipError for what is no decodable clip."""
    held = unwrap(path)
    path = path if held is None else held.path
    if read_storage_class(path) == directory.DIRECTORY_CLASS:
        return open(directory.find_clip(path))
    syntax = read_transfer_syntax(path)
    if syntax == DEFLATED:
        held = inflate(path)
        return _open_recording(held.path, _NATIVE[1], held)
    return _open_recording(path, syntax, held)


def _open_recording(path: Path, syntax: str, held: MemoryFile | None) -> Recording:
    with path.open("rb") as file:
        header = read_header(file)
        rows, columns = read_whole_number(header, "Rows", 0), read_whole_number(header, "Columns", 0)
        check_size("DICOM", rows, columns)
        start = find_value_start(file, syntax == _NATIVE[0], syntax != _NATIVE[2])
        place = (rows, columns, str(header.get("Manufacturer") or ""), list_regions(header, rows, columns))
        clock = HeaderTimes.from_header(header)
        if syntax.startswith(_VIDEO):
            stream = MemoryFile(iterate_stream(file, start))
            recording = open_video(stream.path, square=False)
            if (recording.rows, recording.columns) != (rows, columns):
                raise unreadable_error("DICOM", "a stream of another size than the header says")
            return _VideoRecording(*place, clock, recording, stream, read_whole_number(header, "NumberOfFrames", 0))
        source: _Source
        if syntax in _NATIVE:
            source, stored = _index_native((path, held), file, start, header, syntax != _NATIVE[2])
        elif syntax in CODECS:
            source, stored = _index_compressed((path, held), file, start, header, syntax)
        else:
            raise unreadable_error("DICOM", "a compression without a decoder here")
    return _FrameRecording(*place, clock, source, read_photometric(header), _find_more(source.frames, stored))


def _find_more(used: int, stored: int) -> tuple[Doubt, ...]:
    """The doubt of a file that holds more frames than it states."""
    if stored <= used:
        return ()
    return (
        Doubt(
            "frames-beyond-stated",
            "a DICOM clip holds as many frames as NumberOfFrames says",
            f"NumberOfFrames {used}, {stored} frames stored",
            f"export the clip again; where it is complete with {used} frames, write yes in clip_checked",
        ),
    )


@dataclass(frozen=True)
class _NativeFrames:
    """Uncompressed frames, by pydicom, which reads one at a time. held: the file in memory that `path` names, if so."""

    path: Path = field(repr=False)
    frames: int
    convert: Convert
    held: MemoryFile | None

    def decode(self, indices: Sequence[int], overwrite: bool = False) -> Iterator[U8]:
        with self.path.open("rb") as file, closing(_iterate_native(file, indices, self.frames)) as found:
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
    held: MemoryFile | None

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.spans)

    def decode(self, indices: Sequence[int], overwrite: bool = False) -> Iterator[U8]:
        """overwrite: each picture may be put where the last one was."""
        room = np.empty(self.form.shape, np.uint8) if overwrite else None
        with self.path.open("rb") as file:
            for index in indices:
                yield self.convert(decode_frame(self.codec, read_frame(file, self.spans[index]), self.form, room))


_Source = _NativeFrames | _CompressedFrames


_Place = tuple[Path, MemoryFile | None]
"""Of a file, and what holds it where it is in memory."""


def _index_native(
    place: _Place, file: BinaryIO, start: int, header: Dataset, little: bool
) -> tuple[_NativeFrames, int]:
    """Uncompressed frames as NumberOfFrames says, or as there are where it is missing; how many are stored.

    A header that claims more than the file holds is refused before memory is asked for.
    """
    stated, length = read_whole_number(header, "NumberOfFrames", 0), read_value_length(file, start, little)
    full = (
        read_whole_number(header, "Rows", 0)
        * read_whole_number(header, "Columns", 0)
        * read_whole_number(header, "SamplesPerPixel", 1)
        * read_whole_number(header, "BitsAllocated", 8)
        // 8
    )
    halved = read_photometric(header) == "YBR_FULL_422"
    if halved and stated > 0 and length // 2 * 2 == (stated * full + 1) // 2 * 2:
        raise colours_error("PhotometricInterpretation", "YBR_FULL_422", "as many bytes as colours in full take")
    needed = full * 2 // 3 if halved else full
    stored = length // needed if needed > 0 else 0
    frames, there = max(1, stated or stored), count_bytes_left(file, start)
    if needed <= 0 or frames * needed > there:
        raise unreadable_error("DICOM", f"{there // max(1, needed)} of {frames} frames")
    return _NativeFrames(place[0], frames, make_converter(header, turned=False), place[1]), stored


def _index_compressed(
    place: _Place, file: BinaryIO, start: int, header: Dataset, syntax: str
) -> tuple[_CompressedFrames, int]:
    """Compressed frames as NumberOfFrames says, or as there are where it is missing; how many are stored."""
    table = bytes(header.get("ExtendedOffsetTable") or b"")
    extended = np.frombuffer(table[: len(table) // 8 * 8], dtype="<u8").tolist()
    fragments, codec = read_fragments(file, start), CODECS[syntax]
    stored = len(fragments.spans) if syntax == _RLE else count_frames(file, fragments, extended)
    frames = max(1, read_whole_number(header, "NumberOfFrames", 0) or stored)
    spans = assign_frames(file, fragments, frames, extended)
    samples = read_whole_number(header, "SamplesPerPixel", 1)
    bits = 8 if read_whole_number(header, "BitsAllocated", 8) <= 8 else 16
    form = PixelFormat(int(header.Rows), int(header.Columns), samples, bits, read_photometric(header) == "RGB")
    converter = make_converter(header, codec.to_rgb)
    return _CompressedFrames(place[0], spans, codec, form, converter, place[1]), stored


def _iterate_native(file: BinaryIO, indices: Sequence[int], frames: int) -> Generator[npt.NDArray[Any], None, None]:
    found = iter_pixels(file, indices=indices, raw=True, number_of_frames=frames)
    return cast(Generator[npt.NDArray[Any], None, None], found)


def _read_next(frames: Iterator[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return next(frames)
    except Exception as error:  # pydicom raises any type on damaged headers; none of its text may pass
        raise unreadable_error("DICOM", f"damaged pixel data ({type(error).__name__})") from None


@dataclass(frozen=True)
class _FrameRecording:
    """Pixel data in which every frame stands by itself.

    Attributes:
        photometric: Photometric interpretation as the header states it.
        more: Of frames that the header does not count.
    """

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: HeaderTimes
    source: _Source
    photometric: str
    more: tuple[Doubt, ...]

    @property
    def stated(self) -> int:
        return self.source.frames

    def sample_pictures(self, count: int) -> Sequence[U8]:
        """Raises ClipError where the colours are not those of the header."""
        pictures = list(self.source.decode(spread_indices(self.source.frames, count)))
        check_colours(pictures, self.photometric)
        return pictures

    def pictures(self) -> Iterator[U8]:
        return self._check({0}, overwrite=False)

    def levels(self, panes: Sequence[Pane], glances: Glances) -> Iterator[tuple[U8, ...]]:
        return convert_pictures(self._check({0, *glances.indices}, overwrite=True), panes, glances)

    def _check(self, indices: Collection[int], overwrite: bool) -> Iterator[U8]:
        """All pictures in order. Raises ClipError where the colours of one of these are not those of the header."""
        for number, picture in enumerate(self.source.decode(range(self.source.frames), overwrite)):
            if number in indices:
                check_colours([picture], self.photometric)
            yield picture

    def length(self) -> int:
        return self.source.frames

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        found = self.clock.resolve(frames, frame_rate_hz)
        return replace(found, doubts=(*self.more, *found.doubts))


@dataclass(frozen=True)
class _VideoRecording:
    """Pixel data that is an MPEG-2, H.264 or HEVC stream, decoded like a video file; the header tells the times.

    Attributes:
        held: The file in memory that holds the stream.
        stated: As NumberOfFrames says, 0 without it.
    """

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: HeaderTimes
    recording: Video
    held: MemoryFile
    stated: int

    def sample_pictures(self, count: int) -> Sequence[U8]:
        return self.recording.sample_pictures(count)

    def pictures(self) -> Iterator[U8]:
        yield from self.recording.pictures()  # a generator of this object, which holds the stream

    def levels(self, panes: Sequence[Pane], glances: Glances) -> Iterator[tuple[U8, ...]]:
        yield from self.recording.levels(panes, glances)  # as above

    def length(self) -> int:
        return self.recording.length()

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        """The header's, then the manifest's, then the stream's own where it has any."""
        untold = frame_rate_hz is None and self.clock.find_times(frames) is None
        return (self.recording.find_stamped_times() if untold else None) or self.clock.resolve(frames, frame_rate_hz)
