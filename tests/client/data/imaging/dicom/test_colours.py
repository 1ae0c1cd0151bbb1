"""Colours that a header cannot mean are refused; tints, backgrounds and colour flow of every kind are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from client.data.imaging.clip import ClipError
from client.data.imaging.dicom.colours import check_colours
from sim.hospital.screens import TINTS

Picture = np.ndarray


def screen(table: Picture | None = None, background: tuple[int, int, int] = (0, 0, 0)) -> Picture:
    """Two panes of speckle, a tinted one and a grey one, around them a background with text."""
    draw = np.random.default_rng(2)
    levels = (255 * draw.random((120, 100)) ** 2).astype(np.uint8)
    picture = np.full((200, 320, 3), background, np.uint8)
    picture[40:160, 30:130] = np.repeat(levels[..., None], 3, axis=2) if table is None else table[levels]
    picture[40:160, 180:280] = np.repeat(levels[::-1, ::-1, None], 3, axis=2)
    cv2.putText(picture, "MI 0.08", (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (200, 200, 200), 1)
    return picture


def jpeg(picture: Picture) -> Picture:
    return cv2.imdecode(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])[1], 1)[..., ::-1]


def rgb_read_as_ybr(picture: Picture) -> Picture:
    return cv2.cvtColor(np.ascontiguousarray(picture[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB)


def ybr_read_as_rgb(picture: Picture) -> Picture:
    return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]


@pytest.mark.parametrize("background", [(0, 0, 0), (18, 20, 26), (40, 40, 40), (70, 80, 95)])
@pytest.mark.parametrize("tint", [None, *TINTS])
def test_what_scanners_show_is_let_through(tint: str | None, background: tuple[int, int, int]) -> None:
    picture = screen(None if tint is None else TINTS[tint], background)
    check_colours([picture, jpeg(picture)], "RGB")


@pytest.mark.parametrize("background", [(0, 0, 0), (18, 20, 26), (40, 40, 40)])
@pytest.mark.parametrize("tint", [None, *TINTS])
@pytest.mark.parametrize(("wrong", "found"), [(rgb_read_as_ybr, "RGB"), (ybr_read_as_rgb, "YBR")])
def test_the_other_colour_space_is_refused_and_named(
    wrong: object, found: str, tint: str | None, background: tuple[int, int, int]
) -> None:
    picture = wrong(screen(None if tint is None else TINTS[tint], background))  # type: ignore[operator]
    for shown in (picture, jpeg(picture)):
        with pytest.raises(ClipError, match="PhotometricInterpretation") as caught:
            check_colours([shown], "YBR_FULL")
        assert caught.value.reason == "colours-disagree"
        assert f"samples of {found}" in caught.value.value
