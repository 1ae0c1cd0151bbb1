"""Tiles are the picture around the box; doubtful lesions come first, and a large site has several pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_traces import drawn

from client.data.sheets.contact_sheet import PAGE_TILES, TILE_PX, Tile, make_tile, write_contact_sheets
from tests.client.data.sheets.test_quality_sheet import RED, share_of


def tile(row: int = 2, doubts: tuple[str, ...] = ()) -> Tile:
    return make_tile(row, f"row {row}", drawn(doubts=doubts).trace)


def test_a_tile_is_the_picture_around_its_box() -> None:
    found = drawn().trace
    made = tile()
    assert made.picture.shape == (TILE_PX, TILE_PX)
    x0, y0, x1, y1 = (round(TILE_PX * share) for share in made.box)
    assert made.picture[y0:y1, x0:x1].mean() == pytest.approx(found.reference[35:126, 50:151].mean(), abs=5)
    assert made.peak == (pytest.approx((20 - 0) / (found.seconds[-1] - 0)), 1.0)
    assert np.isnan(made.curve).any(axis=1).sum() == 1  # the gap between the clips
    assert made.box[0] < made.outline[:, 0].min() < made.outline[:, 0].max() < made.box[2]


def test_a_box_that_leaves_the_frame_is_black_there() -> None:
    picture = make_tile(2, "", replace(drawn().trace, box=(-60, -60, 20, 20))).picture
    assert picture[: TILE_PX // 2, : TILE_PX // 2].max() == 0
    assert picture[-TILE_PX // 4 :, -TILE_PX // 4 :].mean() > 25


def test_doubtful_lesions_come_first_and_red(tmp_path: Path) -> None:
    good = [tile(row) for row in range(2, 7)]
    (page,) = write_contact_sheets(good, tmp_path)
    assert share_of(page, RED) < 1e-3
    (page,) = write_contact_sheets([*good, tile(7, ("held",))], tmp_path)
    first = cv2.imread(str(page))[:, :200]
    assert (np.abs(first[..., ::-1].astype(int) - RED).max(axis=2) <= 12).mean() > 5e-3


def test_a_large_site_has_several_pages_and_old_ones_go(tmp_path: Path) -> None:
    one = tile()
    pages = write_contact_sheets([replace(one, row=row) for row in range(PAGE_TILES + 1)], tmp_path)
    assert [path.name for path in pages] == ["contact-01.png", "contact-02.png"]
    assert [path.name for path in write_contact_sheets([one], tmp_path)] == ["contact.png"]
    assert [path.name for path in tmp_path.glob("*.png")] == ["contact.png"]
    assert write_contact_sheets([], tmp_path) == []


def test_a_tile_is_small() -> None:
    made = tile()
    assert made.picture.nbytes + made.curve.nbytes + made.outline.nbytes < 40_000
