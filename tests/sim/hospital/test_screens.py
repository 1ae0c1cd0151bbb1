from __future__ import annotations

import numpy as np
import pytest

from ceus_models.study.subgroups import MANUFACTURERS
from client.data.imaging.manufacturers import normalize_manufacturer
from client.data.imaging.tint import TINTS as KNOWN
from client.data.imaging.tint import find_tint, recover_levels
from sim.hospital.screens import (
    GOLD_BLUE,
    GOLD_GREEN,
    GOLD_LEVELS,
    MAKERS,
    TINTS,
    Caption,
    compose_screens,
    compute_layout,
)

CAPTION = Caption("ZHANG WEI", "000123", "2021-03-04", "Hospital 7")


def _panes(height: int = 60, width: int = 70) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (2, 3, height, width)).astype(np.uint8))  # type: ignore[return-value]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("only", [False, True])
def test_panes_come_back_exactly(name: str, only: bool) -> None:
    maker = MAKERS[name]
    contrast, bmode = _panes()
    layout = compute_layout(maker, (60, 70), only)
    screens = np.stack(list(compose_screens(contrast, None if only else bmode, [0.0, 1.0, 61.0], maker, CAPTION)))
    assert screens.shape == (3, layout.rows, layout.columns, 3)
    assert layout.rows % 2 == layout.columns % 2 == 0
    x0, y0, x1, y1 = layout.contrast
    shown = screens[:, y0:y1, x0:x1].reshape(-1, 70, 3)
    assert (recover_levels(shown, find_tint(maker.tint, [shown], KNOWN)).reshape(contrast.shape) == contrast).all()
    assert (layout.bmode is None) == only
    if layout.bmode is not None:
        x0, y0, x1, y1 = layout.bmode
        assert (screens[:, y0:y1, x0:x1] == bmode[..., None]).all()


@pytest.mark.parametrize("name", TINTS)
def test_tints_carry_the_level_in_their_brightest_channel(name: str) -> None:
    table = TINTS[name].astype(int)
    telling = table[:, 0] if name == "gold" else table.max(axis=1)  # gold's dark end is measured: level 0 is 0, 1, 1
    assert (telling == np.arange(256)).all()
    assert (np.diff(table, axis=0) >= 0).all()


def test_gold_is_the_measured_map() -> None:
    known = TINTS["gold"][list(GOLD_LEVELS)]
    assert (known == np.stack([GOLD_LEVELS, GOLD_GREEN, GOLD_BLUE], axis=1)).all()


def test_every_maker_of_the_study_has_a_screen_and_a_known_tag() -> None:
    assert tuple(MAKERS) == MANUFACTURERS
    assert [normalize_manufacturer(maker.tag) for maker in MAKERS.values()] == list(MANUFACTURERS)


def test_the_banner_bears_text_and_the_panes_do_not_touch_it() -> None:
    contrast, bmode = _panes()
    for maker in MAKERS.values():
        layout = compute_layout(maker, (60, 70), False)
        screen = next(compose_screens(contrast, bmode, [0.0], maker, CAPTION))
        assert screen[: layout.banner].max() > 150
        assert layout.banner <= min(layout.contrast[1], layout.bmode[1] if layout.bmode else 999)
        other = next(
            compose_screens(contrast, bmode, [0.0], maker, Caption("LI NA", "000124", "2021-03-04", "Hospital 7"))
        )
        differs = (screen != other).any(axis=2)
        assert differs[: layout.banner].any()
        assert not differs[layout.banner :].any()


def test_layouts_scale() -> None:
    small, large = (compute_layout(MAKERS["GE"], (n, n), False) for n in (100, 400))
    assert large.columns == pytest.approx(4 * small.columns, rel=0.05)
    assert large.rows == pytest.approx(4 * small.rows, rel=0.05)
