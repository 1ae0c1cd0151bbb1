"""The levels of panes of whole pictures in RGB: what every reader does that has no quicker way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from client.data.imaging.recording import U8, Box, ClipError, Glances
from client.data.imaging.tint import LevelConverter, Tint

Pane = tuple[Box, Tint]
"""Where a pane lies on the screen, and the colours that it is shown in."""


def convert_pictures(pictures: Iterable[U8], panes: Sequence[Pane], glances: Glances) -> Iterator[tuple[U8, ...]]:
    """Of every picture RGB (h w 3) the levels u8 (h w) of each pane, good until the next one. Raises ClipError."""
    converters = [LevelConverter(box[3] - box[1], box[2] - box[0], tint) for box, tint in panes]
    for number, picture in enumerate(pictures):
        if number in glances.indices:
            glances.pictures.append(crop_pane(picture, glances.box).copy())
        yield tuple(
            converter.convert(crop_pane(picture, box)) for converter, (box, _) in zip(converters, panes, strict=True)
        )


def changed_size_error() -> ClipError:
    """The error of a clip whose frames are not all of one size."""
    return ClipError(
        "unreadable-clip", "all frames of a clip have one size", "another size", "split the clip into two files"
    )


def crop_pane(picture: U8, box: Box) -> U8:
    """The part of a screen (h w 3) that is a pane."""
    x0, y0, x1, y1 = box
    pane = picture[y0:y1, x0:x1]
    if pane.shape[:2] != (y1 - y0, x1 - x0):
        raise changed_size_error()
    return pane
