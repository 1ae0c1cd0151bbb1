"""Levels from planes: as from the whole picture, wherever a pane begins and however chroma is sampled."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
import pytest

from client.data.imaging.pane_levels import convert_pictures
from client.data.imaging.recording import ClipError, Glances
from client.data.imaging.tint import TINTS, Tint
from client.data.imaging.video import planes
from client.data.imaging.video.colours import read_colours
from client.data.imaging.video.planes import PaneReader, make_rgb, split_planes, view_planes

U8 = npt.NDArray[np.uint8]
SIZE = (50, 70)
BOXES = [(0, 0, 70, 50), (1, 1, 34, 30), (33, 17, 70, 50), (2, 4, 20, 24)]
IDENTITY = ((0, 0, 0, 0), (255, 255, 255, 255))
TINTED = {"gold": TINTS["gold"], "red": Tint(IDENTITY, 0), "green": Tint(IDENTITY, 1), "blue": Tint(IDENTITY, 2)}
PLANAR = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv411p", "yuv440p", "yuv410p", "gray")


def noise(pixels: str, seed: int = 1) -> av.VideoFrame:
    """A frame of any values in a planar format, among them colours that RGB cannot hold."""
    draw, frame = np.random.default_rng(seed), av.VideoFrame(SIZE[1], SIZE[0], pixels)
    for plane in frame.planes:
        plane.update(draw.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    return frame


@pytest.mark.parametrize("pixels", PLANAR)
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("name", TINTED)
def test_the_telling_channel_is_that_of_the_whole_picture(
    pixels: str, box: tuple[int, int, int, int], name: str
) -> None:
    frame = noise(pixels)
    colours = read_colours(frame, "h264")
    wanted = next(iter(convert_pictures([make_rgb(frame, colours)], [(box, TINTED[name])], Glances(box))))[0]
    part = make_rgb(frame, colours, box)
    assert np.array_equal(part, make_rgb(frame, colours)[box[1] : box[3], box[0] : box[2]])
    found = view_planes(frame)
    assert np.array_equal(PaneReader(box, TINTED[name], colours, found).read(found), wanted)


@pytest.mark.parametrize("pixels", PLANAR)
def test_chroma_stands_for_the_pixels_that_it_was_taken_from(pixels: str) -> None:
    """Against the formula of BT.601, pixel by pixel."""
    frame = noise(pixels)
    shown = make_rgb(frame, read_colours(frame, "h264")).astype(int)
    luma, *chroma = (plane.astype(float) for plane in view_planes(frame))
    full = pixels.startswith("yuvj")
    scale, spread = (1.0, 1.0) if full else (255 / 219, 255 / 224)
    level = (luma - (0 if full else 16)) * scale
    if not chroma:
        chroma = [np.full((1, 1), 128.0)] * 2
    down, right = (-(-large // small) for large, small in zip(SIZE, chroma[0].shape, strict=True))
    blue, red = ((part.repeat(down, 0).repeat(right, 1)[: SIZE[0], : SIZE[1]] - 128) * spread for part in chroma)
    wanted = [level + 1.402 * red, level - 0.344136 * blue - 0.714136 * red, level + 1.772 * blue]
    assert np.abs(shown - np.stack(wanted, axis=2).clip(0, 255)).max() <= 0.51


def test_a_grey_pane_is_luma_whatever_the_codec_did_to_chroma() -> None:
    frame = noise("yuv420p")
    found, colours = view_planes(frame), read_colours(frame, "h264")
    levels = PaneReader(BOXES[1], TINTS["grey"], colours, found).read(found)
    wanted = np.rint((found[0][1:30, 1:34].astype(float) - 16) * 255 / 219).clip(0, 255)
    assert np.array_equal(levels, wanted)
    assert TINTS["grey"] != TINTED["green"]  # the brightest channel of a green map is no luma


@pytest.mark.parametrize(
    ("pixels", "made"),
    [
        ("bgr24", "rgb24"), ("rgb24", "rgb24"), ("bgra", "rgb24"), ("rgb0", "rgb24"), ("gbrp", "rgb24"),
        ("rgb555le", "rgb24"), ("nv12", "yuv420p"), ("yuyv422", "yuv422p"), ("uyvy422", "yuv422p"),
        ("yuv420p10le", "yuv420p"), ("yuv444p10le", "yuv444p"), ("yuva420p", "yuva420p"), ("gray10le", "gray"),
    ],
)  # fmt: skip
def test_other_formats_keep_their_colours(pixels: str, made: str) -> None:
    wanted = np.full((32, 48, 3), (200, 150, 90), np.uint8)
    wanted[:, 24:] = 120 if pixels.startswith("gray") else (20, 90, 140)
    wanted = np.full_like(wanted, 120) if pixels.startswith("gray") else wanted
    frame = split_planes(av.VideoFrame.from_ndarray(wanted, "rgb24").reformat(format=pixels))
    assert frame.format.name == made
    shown = make_rgb(frame, None if made == "rgb24" else read_colours(frame, "rawvideo"))
    assert np.abs(shown[:, 8:-8].astype(int) - wanted[:, 8:-8]).max() <= (9 if pixels == "rgb555le" else 3)


def test_pictures_that_are_stored_from_the_bottom_up_stand_upright() -> None:
    stored = np.frombuffer(bytes([4, 5, 6, 0, 1, 2, 3, 0]), np.uint8)
    assert planes.arrange(stored, 2, 3, -4).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert planes.arrange(stored, 2, 3, 4).tolist() == [[4, 5, 6], [1, 2, 3]]


def test_a_conversion_that_fails_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's scaler returns an error for a picture that it did not write."""

    class Failing:
        def reformat(self, frame: av.VideoFrame, **_: object) -> av.VideoFrame:
            raise av.error.ArgumentError(22, "no text of this", "DOE.avi")

    monkeypatch.setattr("av.video.reformatter.VideoReformatter", Failing)
    with pytest.raises(ClipError, match="cannot be converted") as caught:
        split_planes(noise("gray").reformat(format="bgr24"))
    assert caught.value.reason == "unreadable-clip"
    assert "DOE" not in str(caught.value)
