"""Find the panes of a recording: by its own regions, else a template of site.yaml, else detection in the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ceus_models.study.subgroups import UNKNOWN
from client.data.imaging import tint
from client.data.imaging.manufacturers import manufacturer_name
from client.data.imaging.pane_detection import GLANCES, SURE, detect
from client.data.imaging.recording import U8, Box, ClipError, Recording, Region
from client.data.imaging.screen import ANY_MAKER, Screen
from client.data.imaging.tint import Tint

DETECTED = ("detected", "whole")
LAYOUTS = ("regions", "template", *DETECTED)
"""Where the panes came from; "whole": detection found that the screen is the pane, with nothing around it."""
_EQUAL_PX = 2
"""Panes of a dual view have the same size up to this."""
_MORE_COLOUR = 1.5
"""By how many levels of mean |R - B| the contrast pane must be more coloured than the other."""
_GLANCES = 3
_RIM = 0.02
"""Share of a side that what moves may leave free for the screen to be the pane."""
_REMEDY = "add the screen of this device to screens in site.yaml"


@dataclass(frozen=True)
class Layout:
    """Boxes of the panes, of equal size, and the tint of the contrast pane.

    Attributes:
        dynamic_range_db: Dynamic range of the display; None where no template states it.
        origin: One of LAYOUTS.
        confidence: 0-1; 1 unless detected.
    """

    contrast: Box
    bmode: Box | None
    tint: Tint
    mm_per_pixel: float | None
    dynamic_range_db: float | None
    origin: str
    confidence: float

    def as_screen(self, recording: Recording) -> tuple[Screen, ...]:
        """A template of panes that were found in the pictures, for later clips of the same exam: in a short clip less
        moves, and the same panes would be found smaller. Empty where the file or a template told them.
        """
        if self.origin not in DETECTED:
            return ()
        return (Screen(ANY_MAKER, recording.rows, recording.columns, self.contrast, self.bmode, None, None),)


def layout_of(recording: Recording, screens: Sequence[Screen], tints: Mapping[str, Tint]) -> Layout:
    """Find the panes of a recording and the colour map of the contrast pane.

    Args:
        screens: Templates that may fit, the best first.
        tints: Colour maps by name.

    Raises:
        ClipError: The panes are not known ("unknown-panes").
    """
    fitting = _fitting(recording, screens)
    screen = fitting[0] if len(fitting) == 1 else None
    pair = _equal_pair(recording.regions)
    if pair is not None:
        pictures = recording.glance(_GLANCES)
        contrast, bmode = _told_apart(pair, pictures, screen)
        shown = _tint(screen, pictures, contrast.box, tints)
        return _layout((contrast.box, bmode.box), "regions", (contrast.mm_per_pixel, screen), shown)
    if len(fitting) > 1:
        raise _unknown(
            "one template fits a screen", f"{len(fitting)} templates of this size, and no maker that decides"
        )
    region = max(recording.regions, key=lambda r: _area(r.box), default=None)
    mm_per_pixel = None if region is None else region.mm_per_pixel
    if screen is not None and (region is None or _frames_both(region.box, screen)):
        shown = tints.get(screen.tint or "") or _tint(screen, recording.glance(_GLANCES), screen.contrast, tints)
        return _layout((screen.contrast, _same_size(screen)), "template", (mm_per_pixel, screen), shown)
    if region is not None:
        shown = _tint(screen, recording.glance(_GLANCES), region.box, tints)
        return _layout((region.box, None), "regions", (mm_per_pixel, screen), shown)
    return _detected(recording, tints)


def _detected(recording: Recording, tints: Mapping[str, Tint]) -> Layout:
    pictures = recording.glance(GLANCES)
    found = detect(pictures)
    if found is None or found.confidence < SURE:
        sure = "nothing that moves" if found is None else f"panes that are {found.confidence:.0%} sure"
        raise _unknown("the file, a template or the pictures show where the panes are", sure)
    origin, contrast = "detected", found.contrast
    if found.bmode is None and _fills(contrast, recording):
        origin, contrast = "whole", (0, 0, recording.columns, recording.rows)
    shown = _tint(None, pictures, contrast, tints)
    return _layout((contrast, found.bmode), origin, (None, None), shown, found.confidence)


def _fills(box: Box, recording: Recording) -> bool:
    x, y = _RIM * recording.columns, _RIM * recording.rows
    return box[0] <= x and box[1] <= y and box[2] >= recording.columns - x and box[3] >= recording.rows - y


def _layout(
    boxes: tuple[Box, Box | None],
    origin: str,
    known: tuple[float | None, Screen | None],
    shown: Tint,
    confidence: float = 1.0,
) -> Layout:
    """known: mm per pixel and the template. The panes are cut to the size of the smaller one."""
    contrast, bmode = _sized(*boxes)
    mm_per_pixel, screen = known
    dynamic_range_db = None if screen is None else screen.dynamic_range_db
    return Layout(contrast, bmode, shown, mm_per_pixel, dynamic_range_db, origin, confidence)


def _tint(screen: Screen | None, pictures: Sequence[U8], box: Box, tints: Mapping[str, Tint]) -> Tint:
    """The map of a contrast pane: what the template names, else what the pictures show."""
    panes = [_crop(picture, box) for picture in pictures]
    name = None if screen is None else screen.tint
    return tint.guess(panes, tints) if name is None else tint.named(name, panes, tints)


def _fitting(recording: Recording, screens: Sequence[Screen]) -> tuple[Screen, ...]:
    """The different templates of this screen size: those of the file's maker before those for any. The maker of a
    file that does not say it may be any.
    """
    maker = manufacturer_name(recording.manufacturer)
    size = (recording.rows, recording.columns)
    sized = [screen for screen in screens if (screen.rows, screen.columns) == size]
    own = [s for s in sized if s.manufacturer == maker or (maker == UNKNOWN and s.manufacturer != ANY_MAKER)]
    chosen = own or [screen for screen in sized if screen.manufacturer == ANY_MAKER]
    shown = {(s.contrast, s.bmode, s.tint, s.dynamic_range_db): s for s in reversed(chosen)}
    return tuple(shown.values())


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
    raise _unknown(
        "the contrast pane of two panes is tinted, or a template names it",
        "two grey panes and no template of this screen",
    )


def _unknown(rule: str, value: str) -> ClipError:
    return ClipError("unknown-panes", rule, value, _REMEDY)


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


def _sized(contrast: Box, bmode: Box | None) -> tuple[Box, Box | None]:
    """The panes cut to the size of the smaller one."""
    if bmode is None:
        return contrast, None
    width, height = (min(box[axis + 2] - box[axis] for box in (contrast, bmode)) for axis in (0, 1))
    first, second = ((box[0], box[1], box[0] + width, box[1] + height) for box in (contrast, bmode))
    return first, second


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _equal(a: Box, b: Box) -> bool:
    sizes = ((a[2] - a[0], b[2] - b[0]), (a[3] - a[1], b[3] - b[1]))
    return all(abs(one - other) <= _EQUAL_PX for one, other in sizes)


def _overlap(a: Box, b: Box) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)
