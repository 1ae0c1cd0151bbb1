"""A file becomes a Clip: two panes of levels on one time axis. Anonymous from here on.

Screens are cropped to their panes frame by frame, so banners and burned-in names are gone before a second frame is
read. A new file format is a module with `open` (see `recording.Reader`) and a line in READERS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from client import dicom, tint, video
from client.config import Screen
from client.manufacturers import UNKNOWN, manufacturer_name
from client.recording import F64, U8, Box, ClipError, Reader, Recording, Region

__all__ = ["READERS", "Clip", "ClipError", "ClipInfo", "open_clip", "probe"]

READERS: Mapping[str, Reader] = {
    ".dcm": dicom,
    ".dicom": dicom,
    ".ima": dicom,
    "": dicom,
    ".avi": video,
    ".mp4": video,
    ".m4v": video,
    ".mov": video,
    ".wmv": video,
}
"""File suffix → reader. Files without a suffix are DICOM, as PACS exports name them."""

LAYOUTS = ("regions", "template", "whole")
"""Where the panes came from: the file's own regions, a screen of site.yaml, or nothing (the whole picture)."""
_EQUAL_PX = 2
"""Panes of a dual view have the same size up to this."""
_MORE_COLOUR = 1.5
"""By how many levels of mean |R - B| the contrast pane must be more coloured than the other."""
_RESERVED_BYTES = 1 << 28
"""Address space of a pane, reserved at once: memory is taken page by page as frames come, and given back at the end.
Growing costs as much as half of the decoding, so it is left to clips that are longer than this."""


@dataclass(frozen=True, eq=False)
class Clip:
    """contrast, bmode: levels u8 (t h w), of equal size, bmode None on contrast-only clips · seconds f64 (t) since
    injection, strictly rising · boxes of the panes on the screen of rows x columns · dynamic_range_db: of the
    display, None where no template says it · layout: one of LAYOUTS.
    """

    contrast: U8
    bmode: U8 | None
    seconds: F64
    mm_per_pixel: float | None
    contrast_box: Box
    bmode_box: Box | None
    rows: int
    columns: int
    dynamic_range_db: float | None = None
    layout: str = "whole"

    @property
    def offset(self) -> tuple[int, int]:
        """Origin (x, y) of the contrast pane on the screen."""
        return self.contrast_box[:2]

    @property
    def bmode_offset(self) -> tuple[int, int] | None:
        """Origin (x, y) of the B-mode pane on the screen."""
        return None if self.bmode_box is None else self.bmode_box[:2]


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What `probe` tells without keeping a picture. first_s, last_s: seconds after injection."""

    frames: int
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None
    first_s: float
    last_s: float


def open_clip(path: Path, start_s: float, frame_rate_hz: float | None, screens: Sequence[Screen]) -> Clip:
    """Reads a whole clip.

    start_s: seconds after injection at its first frame · frame_rate_hz: from the manifest, None = the file's own ·
    screens: device templates that may fit, the best first. Raises ClipError.
    """
    recording = _recording(path)
    layout = _layout(recording, screens)
    contrast, bmode = _Reel(layout.contrast), None if layout.bmode is None else _Reel(layout.bmode)
    for picture in recording.pictures():
        contrast.append(picture, layout.tint)
        if bmode is not None:
            bmode.append(picture, "grey")
    return Clip(
        contrast=contrast.levels(),
        bmode=None if bmode is None else bmode.levels(),
        seconds=_seconds(recording, contrast.frames, start_s, frame_rate_hz),
        mm_per_pixel=layout.mm_per_pixel,
        contrast_box=layout.contrast,
        bmode_box=layout.bmode,
        rows=recording.rows,
        columns=recording.columns,
        dynamic_range_db=layout.dynamic_range_db,
        layout=layout.origin,
    )


def probe(path: Path, start_s: float, frame_rate_hz: float | None, screens: Sequence[Screen]) -> ClipInfo:
    """Size, panes and time span of a clip; parameters and errors as in `open_clip`."""
    recording = _recording(path)
    layout = _layout(recording, screens)
    frames = recording.length()
    seconds = _seconds(recording, frames, start_s, frame_rate_hz)
    first, last = float(seconds[0]), float(seconds[-1])
    return ClipInfo(frames, recording.rows, recording.columns, layout.contrast, layout.bmode, first, last)


def _recording(path: Path) -> Recording:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ClipError(
            "unknown-clip-format",
            f"a clip is one of {', '.join(sorted(s for s in READERS if s))}, or DICOM without a suffix",
            f'suffix "{path.suffix[:8]}"',
            "export the clip as multi-frame DICOM, AVI or MP4",
        )
    return reader.open(path)


def _seconds(recording: Recording, frames: int, start_s: float, frame_rate_hz: float | None) -> F64:
    if frames == 0:
        raise ClipError("unreadable-clip", "a clip has frames", "none", "export the clip again and check that it plays")
    if frames == 1:
        return np.array([start_s], dtype=np.float64)
    return start_s + recording.seconds(frames, frame_rate_hz)


class _Reel:
    """Levels of one pane, gathered frame by frame; memory grows in place, so the clip is never held twice."""

    def __init__(self, box: Box) -> None:
        x0, y0, x1, y1 = box
        self._rows, self._columns = slice(y0, y1), slice(x0, x1)
        self._chunk = max(1, _RESERVED_BYTES // max(1, (y1 - y0) * (x1 - x0)))
        self._levels = np.empty((self._chunk, y1 - y0, x1 - x0), dtype=np.uint8)
        self.frames = 0

    def append(self, picture: U8, name: str) -> None:
        """Adds the pane's part of a screen (h w 3), inverted by the named tint."""
        if self.frames == len(self._levels):
            self._levels.resize((self.frames + self._chunk, *self._levels.shape[1:]), refcheck=False)
        pane = picture[self._rows, self._columns]
        if pane.shape[:2] != self._levels.shape[1:]:
            raise ClipError(
                "unreadable-clip", "all frames of a clip have one size", "another size", "split the clip into two files"
            )
        self._levels[self.frames] = tint.level(pane, name)
        self.frames += 1

    def levels(self) -> U8:
        """All frames (t h w). The reel is spent."""
        self._levels.resize((self.frames, *self._levels.shape[1:]), refcheck=False)
        return self._levels


@dataclass(frozen=True)
class _Layout:
    contrast: Box
    bmode: Box | None
    tint: str
    mm_per_pixel: float | None
    dynamic_range_db: float | None
    origin: str


def _layout(recording: Recording, screens: Sequence[Screen]) -> _Layout:
    screen = _template(recording, screens)
    pair = _equal_pair(recording.regions)
    if pair is not None:
        contrast, bmode = _told_apart(pair, recording.glance(), screen)
        return _finished(contrast.box, bmode.box, "regions", (contrast.mm_per_pixel, screen), recording)
    region = max(recording.regions, key=lambda r: _area(r.box), default=None)
    if screen is not None and (region is None or _frames_both(region.box, screen)):
        mm = None if region is None else region.mm_per_pixel
        return _finished(screen.contrast, _same_size(screen), "template", (mm, screen), recording)
    if region is not None:
        return _finished(region.box, None, "regions", (region.mm_per_pixel, screen), recording)
    return _finished((0, 0, recording.columns, recording.rows), None, "whole", (None, None), recording)


def _finished(
    contrast: Box, bmode: Box | None, origin: str, known: tuple[float | None, Screen | None], recording: Recording
) -> _Layout:
    """known: mm per pixel and the template. B-mode is cut to the size of the contrast pane."""
    mm_per_pixel, screen = known
    name = tint.guess([_crop(p, contrast) for p in recording.glance()]) if screen is None else screen.tint
    if bmode is not None:
        width = min(contrast[2] - contrast[0], bmode[2] - bmode[0])
        height = min(contrast[3] - contrast[1], bmode[3] - bmode[1])
        contrast, bmode = _sized(contrast, width, height), _sized(bmode, width, height)
    range_db = None if screen is None else screen.dynamic_range_db
    return _Layout(contrast, bmode, name, mm_per_pixel, range_db, origin)


def _template(recording: Recording, screens: Sequence[Screen]) -> Screen | None:
    """The first template of this screen size and, where the file names its maker, of this maker or of any."""
    maker = manufacturer_name(recording.manufacturer)
    makers = None if maker == UNKNOWN else ("*", maker)
    size = (recording.rows, recording.columns)
    fitting = [s for s in screens if (s.rows, s.columns) == size and (makers is None or s.manufacturer in makers)]
    return fitting[0] if fitting else None


def _equal_pair(regions: Sequence[Region]) -> tuple[Region, Region] | None:
    """The largest two regions of equal size that do not overlap: a dual view."""
    pairs = [(a, b) for a, b in combinations(regions, 2) if _equal(a.box, b.box) and not _overlap(a.box, b.box)]
    return max(pairs, key=lambda pair: _area(pair[0].box), default=None)


def _told_apart(pair: tuple[Region, Region], pictures: Sequence[U8], screen: Screen | None) -> tuple[Region, Region]:
    """The pair as (contrast, B-mode): the tinted pane is contrast; if neither is, the template decides."""
    first, second = (max(tint.colour(_crop(p, region.box)) for p in pictures) for region in pair)
    if abs(first - second) > _MORE_COLOUR:
        return pair if first > second else (pair[1], pair[0])
    if screen is not None:
        overlaps = [_overlap(region.box, screen.contrast) for region in pair]
        return pair if overlaps[0] >= overlaps[1] else (pair[1], pair[0])
    raise ClipError(
        "unknown-panes",
        "of two panes, the contrast pane is tinted or named by a template",
        "two grey panes and no template of this screen",
        "add the screen of this device to screens in site.yaml",
    )


def _frames_both(box: Box, screen: Screen) -> bool:
    """Whether one region lies around both panes of a template: an exporter framed the dual view as a whole."""
    panes = (screen.contrast, screen.bmode)
    return all(pane is not None and _overlap(box, pane) == _area(pane) for pane in panes)


def _same_size(screen: Screen) -> Box | None:
    if screen.bmode is not None and not _equal(screen.contrast, screen.bmode):
        raise ClipError(
            "unequal-panes",
            "the two panes of a screen in site.yaml have one size",
            "two sizes",
            "correct contrast and bmode of this screen",
        )
    return screen.bmode


def _crop(picture: U8, box: Box) -> U8:
    return picture[box[1] : box[3], box[0] : box[2]]


def _sized(box: Box, width: int, height: int) -> Box:
    return box[0], box[1], box[0] + width, box[1] + height


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _equal(a: Box, b: Box) -> bool:
    sizes = ((a[2] - a[0], b[2] - b[0]), (a[3] - a[1], b[3] - b[1]))
    return all(abs(one - other) <= _EQUAL_PX for one, other in sizes)


def _overlap(a: Box, b: Box) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)
