"""Range and matrix: known colours come back from every combination that a stream may state, and as DICOM has them."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
import pytest

from client.data.imaging.recording import ClipError
from client.data.imaging.video.colours import read_colours
from client.data.imaging.video.planes import make_rgb

U8 = npt.NDArray[np.uint8]
RGB = (
    np.array([[[200, 150, 90], [12, 12, 12]], [[230, 230, 230], [40, 160, 220]]], np.uint8).repeat(16, 0).repeat(16, 1)
)
WEIGHTS = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""AVColorSpace -> Kr, Kb of ITU-R BT.709, BT.601, BT.2020; 2 is "not stated"."""


def encoded(matrix: int, limited: bool, pixels: str = "yuv444p") -> av.VideoFrame:
    """RGB in luma and chroma, computed by the formulas of the standards and not by what is tested."""
    red, blue = WEIGHTS[matrix]
    r, g, b = (RGB[..., channel].astype(float) / 255 for channel in range(3))
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))
    planes = (
        [16 + 219 * luma, *(128 + 224 * part for part in chroma)]
        if limited
        else [255 * luma, *(128 + 255 * part for part in chroma)]
    )
    frame = av.VideoFrame.from_ndarray(
        np.stack([np.rint(plane).clip(0, 255) for plane in planes]).astype(np.uint8), "yuv444p"
    )
    frame = frame if pixels == "yuv444p" else frame.reformat(format=pixels)
    frame.colorspace = matrix
    return frame


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("stated", [0, 1, 2], ids=["not stated", "limited", "full"])
def test_colours_come_back_from_every_range_and_matrix(matrix: int, stated: int) -> None:
    """Within the rounding of luma and chroma to whole numbers."""
    frame = encoded(matrix, stated != 2)
    frame.color_range = stated
    shown = make_rgb(frame, read_colours(frame, "h264"))
    assert np.abs(shown.astype(int) - RGB).max() <= 2
    if matrix not in (2, 5, 6):
        frame.colorspace = 5
        assert np.abs(make_rgb(frame, read_colours(frame, "h264")).astype(int) - RGB).max() > 3


def test_grey_levels_come_back_to_the_number() -> None:
    """Every level that a limited range can hold; below black and above white are black and white."""
    luma = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame = av.VideoFrame.from_ndarray(np.stack([luma, *[np.full((16, 16), 128, np.uint8)] * 2]), "yuv444p")
    for stated, wanted in ((1, np.rint((luma.astype(float) - 16) * 255 / 219).clip(0, 255)), (2, luma)):
        frame.color_range = stated
        shown = make_rgb(frame, read_colours(frame, "h264"))
        assert np.array_equal(shown, np.repeat(wanted[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("codec", "stated", "full"), [("rawvideo", 0, True), ("hevc", 0, False), ("hevc", 2, True), ("png", 1, False)]
)
def test_the_range_of_grey_pictures(codec: str, stated: int, full: bool) -> None:
    frame = av.VideoFrame(32, 32, "gray")
    frame.color_range = stated
    assert (read_colours(frame, codec).scale == 1.0) == full


@pytest.mark.parametrize("matrix", [0, 8, 10, 14])
def test_other_matrices_are_refused(matrix: int) -> None:
    frame = av.VideoFrame(32, 32, "yuv420p")
    frame.colorspace = matrix
    with pytest.raises(ClipError, match="matrix"):
        read_colours(frame, "h264")
