"""From luma and chroma to R, G and B by what the stream states of its range and matrix.

Coefficients are those of the standards (ITU-R BT.601, BT.709, BT.2020; H.273 table 4). A stream that states no matrix
is read by BT.601, as FFmpeg writes it where nobody asks for another, and one that states no range is limited (16-235).
"""

from __future__ import annotations

from dataclasses import dataclass

from av.video.frame import VideoFrame

from client.data.imaging.recording import unreadable_error

_WEIGHTS = {
    1: (0.2126, 0.0722),
    2: (0.299, 0.114),
    3: (0.299, 0.114),
    4: (0.3, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""AVColorSpace -> weights of R and B in luma; 2 is "not stated", 3 reserved."""
_LIMITED, _FULL = 1, 2
_MODERN = ("h264", "hevc")
"""Codecs that take grey pictures without a stated range as limited; the others store grey levels as they are."""


@dataclass(frozen=True, slots=True)
class Colours:
    """How 8-bit luma and chroma become R, G and B.

    Attributes:
        scale, offset: A level is scale * luma + offset where there is no colour.
        red: Of R, per level of V.
        green: Of G, per level of U and of V.
        blue: Of B, per level of U.
    """

    scale: float
    offset: float
    red: float
    green: tuple[float, float]
    blue: float


def read_colours(frame: VideoFrame, codec: str) -> Colours:
    """The colours of a frame of luma and chroma. Raises ClipError for a matrix that is not one of these standards.

    codec: name of the decoder.
    """
    weights = _WEIGHTS.get(frame.colorspace)
    if weights is None:
        raise unreadable_error("video", "colours of a matrix that no ultrasound scanner writes")
    red, blue = weights
    green = 1 - red - blue
    full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    full = full or (frame.format.name == "gray" and frame.color_range != _LIMITED and codec not in _MODERN)
    scale, chroma = (1.0, 1.0) if full else (255 / 219, 255 / 224)
    return Colours(
        scale=scale,
        offset=0.0 if full else -16 * scale,
        red=2 * (1 - red) * chroma,
        green=(-2 * (1 - blue) * blue / green * chroma, -2 * (1 - red) * red / green * chroma),
        blue=2 * (1 - blue) * chroma,
    )
