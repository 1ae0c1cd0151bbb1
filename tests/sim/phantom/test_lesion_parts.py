"""Each pattern fills in its direction."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from made_phantoms import LIVER, SECONDS, TISSUE, make_lesion_grid

from sim.phantom import lesion_parts, perfusion, shapes
from sim.phantom.kinetics import WASHOUT_DB, Kinetics, parenchyma_curve
from sim.phantom.liquid import fill_with_liquid
from sim.phantom.patterns import Kind, Pattern


@pytest.fixture(scope="module")
def tissue() -> shapes.Grid:
    return make_lesion_grid()


def test_every_kind_of_pattern_has_its_picture() -> None:
    assert set(lesion_parts.BUILDERS) == set(get_args(Kind))


def _power(pattern: Pattern, tissue: shapes.Grid, leading: Kinetics = TISSUE) -> np.ndarray:
    rng = np.random.default_rng(2)
    filled = fill_with_liquid(pattern, tissue, rng)
    parts = lesion_parts.build_lesion_parts(pattern, filled, LIVER, leading, rng)
    made = perfusion.compose_perfusion(parts, SECONDS)
    return np.tensordot(made.curves, made.maps, axes=1)


def _mean(power: np.ndarray, mask: np.ndarray, second: float) -> float:
    return float(power[int(second)][mask].mean())


def test_haemangioma_fills_from_the_edge(tissue: shapes.Grid) -> None:
    power = _power(Pattern("nodular", texture=0.0, fill_s=100, nodules=6), tissue)
    edge, centre = (tissue.rho > 0.8) & (tissue.rho < 0.95), tissue.rho < 0.2
    assert _mean(power, edge, 45) > 0.4
    assert _mean(power, centre, 45) < 0.1
    assert _mean(power, centre, 200) > 0.4


def test_an_unfilled_centre_stays_black(tissue: shapes.Grid) -> None:
    power = _power(Pattern("nodular", texture=0.0, fill_s=60, fill_stop=0.6, nodules=5), tissue)
    assert _mean(power, tissue.rho < 0.1, 220) < 0.04


def test_fnh_fills_from_the_centre(tissue: shapes.Grid) -> None:
    power = _power(Pattern("spoke", texture=0.0, fill_s=5, nodules=6), tissue)
    edge, centre = (tissue.rho > 0.8) & (tissue.rho < 0.95), tissue.rho < 0.3
    assert _mean(power, centre, 16) > 2 * _mean(power, edge, 16)


def test_rim_outshines_its_centre(tissue: shapes.Grid) -> None:
    power = _power(Pattern("rim", texture=0.0, rim_mm=5, core_blood=0.3, core_pool=0.6), tissue)
    rim, centre = (tissue.inside_mm > 1) & (tissue.inside_mm < 2.5), tissue.rho < 0.4
    assert _mean(power, rim, 22) > 2 * _mean(power, centre, 22)


@pytest.mark.parametrize("late", [0.03, 0.16, 0.45])
def test_a_rim_that_persists_does_not_wash_out(tissue: shapes.Grid, late: float) -> None:
    """Against the liver at three minutes, whatever the centre does, where a rim that does not persist follows it."""
    rim, centre, second = (tissue.inside_mm > 1) & (tissue.inside_mm < 2.5), tissue.rho < 0.4, 180
    liver = parenchyma_curve(SECONDS, LIVER)[second]
    shown = []
    for persistent in (True, False):
        pattern = Pattern("rim", texture=0.0, rim_mm=8, core_blood=0.5, persistent_rim=persistent)
        power = _power(pattern, tissue, replace(TISSUE, late=late))
        shown.append(10 * np.log10(np.array([_mean(power, rim, second), _mean(power, centre, second)]) / liver))
    assert shown[0][0] > WASHOUT_DB > shown[0][1]
    assert shown[1][0] < WASHOUT_DB


def test_liquid_never_enhances(tissue: shapes.Grid) -> None:
    power = _power(Pattern("cavity", texture=0.0, rim_mm=4, nodules=1), tissue)
    assert power[:, tissue.rho < 0.5].max() == 0


def test_mosaic_has_uneven_nodules(tissue: shapes.Grid) -> None:
    inside = tissue.rho < 0.9
    spread = [_power(Pattern(k, texture=0.0, nodules=5), tissue)[22][inside].std() for k in ("mosaic", "diffuse")]
    assert spread[0] > 3 * spread[1] + 0.05


def test_a_nodule_in_the_nodule_outshines_the_rest(tissue: shapes.Grid) -> None:
    inside = tissue.rho < 0.9
    bright, plain = (
        _power(Pattern("diffuse", texture=0.0, inner_blood=blood), tissue)[22][inside] for blood in (2.0, 1.0)
    )
    assert 0.04 < (bright > 1.3 * plain.max()).mean() < 0.25


def test_rings_and_spokes_are_not_regular(tissue: shapes.Grid) -> None:
    turn = np.floor((tissue.angle + np.pi) / (2 * np.pi) * 24).astype(int) % 24
    for pattern, ring in (
        (Pattern("rim", texture=0.0, rim_mm=5, core_blood=0.2, core_pool=0.5), (0.7, 0.9)),
        (Pattern("spoke", texture=0.0, fill_s=4, nodules=6), (0.4, 0.6)),
    ):
        at = (tissue.rho > ring[0]) & (tissue.rho < ring[1])
        seen = _power(pattern, tissue)[17]
        around = np.array([seen[at & (turn == part)].mean() for part in range(24)])
        assert around.std() / around.mean() > 0.15
        waves = np.abs(np.fft.rfft(around - around.mean()))
        assert waves.max() ** 2 < 0.75 * (waves**2).sum()  # no single number of spokes
