"""AVI, MP4, MOV, WMV: frames are counted by reading, the container's count may be wrong (1426 stated, 713 read)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from av.video.frame import VideoFrame

from client.data.imaging.pane_levels import Pane, changed_size_error, convert_pictures
from client.data.imaging.recording import (
    U8,
    ClipError,
    Glances,
    Region,
    Times,
    check_size,
    make_even_times,
    missing_file_error,
    missing_times_error,
    spread_indices,
    unreadable_error,
)
from client.data.imaging.video.colours import Colours, read_colours
from client.data.imaging.video.decoder import DECODING_ERRORS, OpenStream, open_stream
from client.data.imaging.video.deinterlace import deinterlace
from client.data.imaging.video.frame_times import read_stamps
from client.data.imaging.video.geometry import Geometry, read_geometry
from client.data.imaging.video.glances import find_frames
from client.data.imaging.video.planes import PaneReader, is_planar, make_rgb, split_planes, view_planes
from client.data.imaging.video.truncation import compute_missing_share

_MISSING = 0.02
"""Share of a file that may be missing as long as every stated frame is there: an index, a byte too few."""


def open(path: Path) -> Video:
    """Opens a video file. Raises ClipError for what is missing or no video."""
    return open_video(path, square=True)


def open_video(path: Path, square: bool) -> Video:
    """Opens a video file or a bare stream.

    square: whether a picture whose pixels are not square is shown with square ones.

    Raises:
        ClipError: It is missing, or no video.
    """
    if not path.is_file():
        raise missing_file_error()
    with open_stream(path) as opened:
        first = next(deinterlace(opened.decode(), opened.stream.codec_context.field_order))
        form = _read_form(first, opened, square)
        stated = opened.stream.frames
    rows, columns = form.geometry.compute_size(first.height, first.width)
    check_size("video", rows, columns)
    missing = compute_missing_share(path)
    if missing > _MISSING:
        raise unreadable_error("video", f"a file that is cut off: {missing:.0%} of it is missing")
    return Video(path, rows, columns, stated, missing > 0, form)


@dataclass(frozen=True, slots=True)
class _Form:
    """What all frames of a stream have in common.

    Attributes:
        size: Width and height as decoded, px.
        pixels: Format of the samples as decoded, by FFmpeg's name.
        colours: None where the frames are RGB.
    """

    size: tuple[int, int]
    pixels: str
    colours: Colours | None
    geometry: Geometry

    def split(self, frame: VideoFrame) -> VideoFrame:
        """The frame in planes. Raises ClipError where it differs from the first one, or cannot be converted."""
        if (frame.width, frame.height) != self.size:
            raise changed_size_error()
        if frame.format.name != self.pixels:
            raise unreadable_error("video", "pixels of a kind that changes within the clip")
        return split_planes(frame)

    def show(self, frame: VideoFrame) -> U8:
        """The frame as a picture RGB (h w 3). Raises ClipError as `split`."""
        picture = make_rgb(self.split(frame), self.colours)
        return picture if self.geometry.plain else self.geometry.show(picture)


def _read_form(first: VideoFrame, opened: OpenStream, square: bool) -> _Form:
    planes = split_planes(first)
    colours = read_colours(planes, opened.stream.codec_context.name) if is_planar(planes) else None
    geometry = read_geometry(first, opened.stream.sample_aspect_ratio if square else None)
    return _Form((first.width, first.height), first.format.name, colours, geometry)


@dataclass
class Video:
    """One video file. Its time stamps are known after `pictures`, `levels` or `length` went through it.

    stated: see Recording. cut: whether the file ends before its container does.
    """

    path: Path = field(repr=False)
    rows: int
    columns: int
    stated: int
    cut: bool
    form: _Form
    manufacturer: str = ""
    regions: tuple[Region, ...] = ()
    stamps: list[float | None] = field(default_factory=list, repr=False)

    def sample_pictures(self, count: int) -> Sequence[U8]:
        """Pictures from where the container claims them to be; else from a pass over the file."""
        pictures = self._seek_pictures(count)
        return pictures if 2 * len(pictures) > count else self._step_pictures(spread_indices(self.length(), count))

    def _seek_pictures(self, count: int) -> list[U8]:
        """About so many pictures, by jumps to even times; none where the container states no duration."""
        pictures: list[U8] = []
        with open_stream(self.path) as opened, suppress(ClipError, *DECODING_ERRORS):  # where damaged, a pass tells
            for frame in find_frames(opened, spread_indices(opened.duration, count)):
                pictures.append(self.form.show(frame))
        return pictures

    def _step_pictures(self, indices: Sequence[int]) -> list[U8]:
        """The pictures of these indices, by going through the file."""
        wanted, last = set(indices), max(indices, default=0)
        pictures = []
        with open_stream(self.path) as opened:
            for index, frame in enumerate(deinterlace(opened.decode(), opened.stream.codec_context.field_order)):
                pictures += [self.form.show(frame)] if index in wanted else []
                if index == last:
                    break
        return pictures

    def pictures(self) -> Iterator[U8]:
        """All pictures in order. Raises ClipError at the first one that is damaged, and where the file was cut off."""
        yield from map(self.form.show, self._frames())

    def levels(self, panes: Sequence[Pane], glances: Glances) -> Iterator[tuple[U8, ...]]:
        """Of every picture the levels of each pane, good until the next one. Raises ClipError as `pictures`."""
        colours = self.form.colours
        if colours is None or not self.form.geometry.plain:
            yield from convert_pictures(self.pictures(), panes, glances)
            return
        readers: list[PaneReader] = []
        for number, frame in enumerate(self._frames()):
            whole = self.form.split(frame)
            planes = view_planes(whole)
            if number in glances.indices:
                glances.pictures.append(make_rgb(whole, colours, glances.box))
            readers = readers or [PaneReader(box, tint, colours, planes) for box, tint in panes]
            yield tuple(reader.read(planes) for reader in readers)

    def length(self) -> int:
        """The number of frames, by going through them. Raises ClipError as `pictures`."""
        return sum(1 for _ in self._frames())

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        """The manifest first (exports may play faster than the examination), then the container's time stamps."""
        if frame_rate_hz is not None:
            return make_even_times(frames, frame_rate_hz, "manifest")
        found = self.find_stamped_times()
        if found is None:
            raise missing_times_error("no time stamps")
        return found

    def find_stamped_times(self) -> Times | None:
        """The container's own times, None where it stamps no frame. Raises ClipError where it stamps some."""
        return read_stamps(self.stamps)

    def _frames(self) -> Iterator[VideoFrame]:
        """Every frame, whole and without combs; the stamps are known behind the last."""
        self.stamps = []
        with open_stream(self.path) as opened:
            yield from deinterlace(map(self._stamp, opened.decode()), opened.stream.codec_context.field_order)
        if self.cut and len(self.stamps) < self.stated:
            raise unreadable_error("video", f"a file that is cut off: {len(self.stamps)} of {self.stated} frames")

    def _stamp(self, frame: VideoFrame) -> VideoFrame:
        time = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
        self.stamps.append(time)
        return frame
