"""Refuse colours that a header cannot mean, by what the background and the greys of an ultrasound screen must be.

Most of a screen is black, dark or grey. Samples that are taken for the other colour space turn it into one colour:
black RGB read as YBR is green (0, 135, 0), black YBR read as RGB is teal (0, 128, 128) (PS3.3 C.7.6.3.1.2).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from client.data.imaging.recording import U8, colours_error

_TAG = "PhotometricInterpretation"
_NEAR = 14
"""Levels by which lossy compression moves a colour."""
_DARK = 48
"""Levels of dark grey that RGB read as YBR shows as one green, and YBR read as RGB with this much red at most."""
_GREEN, _CHROMA = 135, 128
_SHARE = 0.3
"""Of a screen that must have the wrong colour; no tint of a contrast pane has so much of it."""


def check_colours(pictures: Iterable[U8], stated: str) -> None:
    """Check decoded pictures (h w 3) against the photometric interpretation that the header states. Raises ClipError.

    Read rightly, at least as much of a screen is dark and neutral as would have the wrong colour.
    """
    for picture in pictures:
        red, green, blue = (picture[::2, ::2, channel].astype(np.int16) for channel in range(3))
        neutral = float(
            ((np.maximum(red, blue) < _DARK) & (abs(red - green) < _NEAR) & (abs(green - blue) < _NEAR)).mean()
        )
        as_ybr = (red < _NEAR) & (blue < _NEAR) & (abs(green - _GREEN) < _NEAR)
        as_rgb = (red < _DARK) & (abs(green - _CHROMA) < _NEAR) & (abs(blue - _CHROMA) < _NEAR)
        for wrong, found in ((as_ybr, "samples of RGB"), (as_rgb, "samples of YBR")):
            share = float(wrong.mean())
            if share > max(_SHARE, neutral):
                raise colours_error(_TAG, stated, f"{found}: read as stated, {share:.0%} of the screen has one colour")
