"""Maps times curves: the sum is what the parts say, and each pattern fills in its direction."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from sim.phantom import kinetics, perfusion, shapes
from sim.phantom.kinetics import Kinetics, Liver
from sim.phantom.patterns import Kind, Pattern
from sim.phantom.random_fields import distance_to_path, draw_smooth_field

SECONDS = np.arange(0.0, 240.0, 1.0)
LIVER = Liver(arrival_s=13, transit_s=9, shape=0.55, portal_s=23, rise_s=14, decay_s=210, vein_s=23)
TISSUE = Kinetics(blood=1.2, delay_s=0.0, early=1.0, late=1.0, washout_s=120)


@pytest.fixture(scope="module")
def tissue() -> shapes.Grid:
    plane = shapes.draw_plane((120, 120), 12.0, "HCC", 5.0, np.random.default_rng(1))
    return shapes.make_grid(plane, 4)


def test_every_kind_of_pattern_has_its_picture() -> None:
    assert set(perfusion.BUILDERS) == set(get_args(Kind))


def _power(pattern: Pattern, tissue: shapes.Grid) -> np.ndarray:
    parts = perfusion.build_lesion_parts(pattern, tissue, LIVER, TISSUE, np.random.default_rng(2))
    made = perfusion.compose_perfusion(parts, SECONDS)
    return np.tensordot(made.curves, made.maps, axes=1)


def _mean(power: np.ndarray, mask: np.ndarray, second: float) -> float:
    return float(power[int(second)][mask].mean())


def test_a_part_with_delays_equals_its_points_computed_one_by_one() -> None:
    delay = np.array([[0.0, 1.0, 2.5, 7.0]], np.float32)  # multiples of the step of 0.5 s
    curve = lambda t, wait: kinetics.lesion_curve(t, LIVER, TISSUE, wait)  # noqa: E731
    made = perfusion.compose_perfusion([perfusion.Part(np.ones_like(delay), curve, delay)], SECONDS)
    found = np.tensordot(made.curves, made.maps, axes=1)[:, 0]
    exact = np.stack([curve(SECONDS, float(d)) for d in delay[0]], axis=1)
    assert found == pytest.approx(exact, abs=1e-5)


def test_mean_over_a_mask_equals_the_mean_of_the_pixels(tissue: shapes.Grid) -> None:
    pattern = Pattern("mosaic", texture=0.4, nodules=4, feeders=2, capsule=True)
    parts = perfusion.build_lesion_parts(pattern, tissue, LIVER, TISSUE, np.random.default_rng(2))
    made = perfusion.compose_perfusion(parts, SECONDS)
    mask = tissue.rho < 1
    assert made.mean(mask) == pytest.approx(_power(pattern, tissue)[:, mask].mean(axis=1), rel=1e-4)


def test_haemangioma_fills_from_the_edge(tissue: shapes.Grid) -> None:
    power = _power(Pattern("nodular", texture=0.0, fill_s=100, nodules=6), tissue)
    edge, centre = (tissue.rho > 0.8) & (tissue.rho < 0.95), tissue.rho < 0.2
    assert _mean(power, edge, 45) > 0.4
    assert _mean(power, centre, 45) < 0.1
    assert _mean(power, centre, 200) > 0.4


def test_an_unfilled_centre_stays_black(tissue: shapes.Grid) -> None:
    power = _power(Pattern("nodular", texture=0.0, fill_s=60, fill_stop=0.6, nodules=5), tissue)
    assert _mean(power, tissue.rho < 0.1, 220) < 0.02


def test_fnh_fills_from_the_centre(tissue: shapes.Grid) -> None:
    power = _power(Pattern("spoke", texture=0.0, fill_s=5, nodules=6), tissue)
    edge, centre = (tissue.rho > 0.8) & (tissue.rho < 0.95), tissue.rho < 0.3
    assert _mean(power, centre, 16) > 2 * _mean(power, edge, 16)


def test_rim_outshines_its_centre(tissue: shapes.Grid) -> None:
    power = _power(Pattern("rim", texture=0.0, rim_mm=5, core_blood=0.3, core_pool=0.6), tissue)
    rim, centre = (tissue.inside_mm > 1) & (tissue.inside_mm < 2.5), tissue.rho < 0.4
    assert _mean(power, rim, 22) > 2 * _mean(power, centre, 22)


def test_liquid_never_enhances(tissue: shapes.Grid) -> None:
    power = _power(Pattern("cavity", texture=0.0, rim_mm=4, nodules=1), tissue)
    assert power[:, tissue.rho < 0.5].max() == 0


def test_mosaic_has_uneven_nodules(tissue: shapes.Grid) -> None:
    inside = tissue.rho < 0.9
    spread = [_power(Pattern(k, texture=0.0, nodules=5), tissue)[22][inside].std() for k in ("mosaic", "diffuse")]
    assert spread[0] > 3 * spread[1] + 0.05


def test_lesion_and_liver_share_the_pane(tissue: shapes.Grid) -> None:
    plane = shapes.draw_plane((120, 120), 12.0, "HCC", 5.0, np.random.default_rng(1))
    parts = perfusion.build_liver_parts(plane, tissue, LIVER, np.random.default_rng(0))
    made = perfusion.compose_perfusion(parts, SECONDS)
    assert made.mean(tissue.rho < 0.9).max() < 1e-3
    far = (tissue.rho > 1.3) & (made.maps[1:].sum(axis=0) == 0)
    assert made.mean(far) == pytest.approx(kinetics.parenchyma_curve(SECONDS, LIVER), rel=0.2, abs=1e-3)


def test_a_lesion_of_every_size_lies_in_the_pane() -> None:
    for size in (0.8, 3.0, 8.0, 20.0):
        for seed in range(10):
            plane = shapes.draw_plane((100, 100), 12.5, "ICC", size, np.random.default_rng(seed))
            points = plane.outline.points()
            assert points.min() >= 0
            assert points.max() <= 99
            shown = 2 * plane.outline.radius_px * plane.mm_per_px / 10
            assert shown == pytest.approx(min(size, 16.0), rel=1e-6)


def test_smooth_field_is_standard_normal() -> None:
    fields = np.stack([draw_smooth_field((60, 60), 5.0, np.random.default_rng(s)) for s in range(40)])
    assert fields.mean() == pytest.approx(0, abs=0.1)
    assert fields.std() == pytest.approx(1, abs=0.1)


def test_distance_to_a_segment() -> None:
    y, x = np.mgrid[0:5, 0:9].astype(np.float32)
    found = distance_to_path(y, x, np.array([[2.0, 2.0], [2.0, 6.0]]))
    assert found[0, 4] == pytest.approx(2)
    assert found[2, 0] == pytest.approx(2)
    assert found[2, 3] == pytest.approx(0, abs=1e-5)
