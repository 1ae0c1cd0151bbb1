"""What makes one clip doubtful: a still, Colour Doppler, a scale or a rate that cannot be right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from client.data.imaging.layout import Layout
from client.data.imaging.recording import U8, ClipError, Times
from client.faults.fault import Doubt

SAME_LEVELS = 0.25
"""Mean difference of a repeated picture after lossy compression; noise and speckle alone change a pane by more."""
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
_SATURATED = 60
"""By how many levels the first colour exceeds the other two in Colour Doppler; every tint has one hue."""
_COLOURED = 0.002
"""Share of a pane that flow towards and flow away from the probe have, each, in a picture that shows flow."""
_SHOWN = 0.25
"""Share of the pictures that show flow: it comes and goes with the pulse."""
_DEPTH_MM = (20.0, 300.0)
"""Height of a pane: abdominal scanners show 3 to 30 cm."""


def is_picture_file(suffix: str) -> bool:
    """Whether a file of this suffix is a still image."""
    return suffix in _PICTURES


def still_error(found: str) -> ClipError:
    """The error of a clip that is a still image."""
    return ClipError(
        "still-image",
        "a clip is a recording over time",
        found,
        "export the cine loop of the arterial phase; stills cannot show a course in time",
    )


def is_still(pictures: Sequence[U8]) -> bool:
    """Whether all these pictures (h w) of a pane are one."""
    first = pictures[0].astype(np.int16)
    return all(float(np.abs(first - picture).mean()) <= SAME_LEVELS for picture in pictures[1:])


def list_clip_doubts(layout: Layout, times: Times, panes: Sequence[U8]) -> Iterator[Doubt]:
    """What speaks against a clip.

    Args:
        layout: Where its panes are.
        times: Its frame times, with their own doubts.
        panes: Some pictures (h w 3) of the contrast pane, spread over the clip.
    """
    yield from times.doubts
    yield from _doubt_rate(times)
    yield from _doubt_depth(layout)
    shown = [picture for picture in panes if _shows_flow(picture)]
    if len(shown) > _SHOWN * len(panes):
        yield Doubt(
            "colour-doppler",
            "the contrast pane has the colours of one tint",
            f"red and blue side by side in {len(shown)} of {len(panes)} pictures, as in Colour Doppler",
            "list the recording in contrast mode; where it is one, write yes in clip_checked",
        )


def _doubt_rate(times: Times) -> Iterator[Doubt]:
    sources = {"container": "the video file", "RecommendedDisplayFrameRate": "the speed of replay in the file"}
    if times.source in sources:
        yield doubt_real_time(f"the rate of {sources[times.source]} alone, {times.span_s:.4g} s in all")


def doubt_real_time(found: str) -> Doubt:
    """A clip that may play at another speed than it was taken; it is used, since nothing shows which."""
    return Doubt(
        "perhaps-not-real-time",
        "a clip plays at the speed of the examination",
        found,
        "compare with the timer on the screen, and write the true frame_rate_hz in this row",
        withholds=False,
    )


def _doubt_depth(layout: Layout) -> Iterator[Doubt]:
    height = layout.contrast[3] - layout.contrast[1]
    depth = height * (layout.mm_per_pixel or 0.0)
    if layout.mm_per_pixel and not _DEPTH_MM[0] <= depth <= _DEPTH_MM[1]:
        low, high = (bound / 10 for bound in _DEPTH_MM)
        yield Doubt(
            "implausible-depth",
            f"an ultrasound picture is {low:g} to {high:g} cm deep",
            f"{depth / 10:.3g} cm by the PhysicalDeltaX of the file",
            "see whether the file was scaled by its export; the scale is used for no measurement",
            withholds=False,
        )


def _shows_flow(picture: U8) -> bool:
    """Whether a pane (h w 3) has both colours of flow."""
    red, green, blue = (picture[::2, ::2, channel].astype(np.int16) for channel in range(3))
    towards = (red - np.maximum(green, blue) > _SATURATED).mean()
    away = (blue - np.maximum(red, green) > _SATURATED).mean()
    return bool(min(towards, away) > _COLOURED)
