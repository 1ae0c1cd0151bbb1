"""Maps times curves: the sum is what the parts say."""

from __future__ import annotations

import numpy as np
import pytest
from made_phantoms import LIVER, SECONDS, TISSUE, make_lesion_grid

from sim.phantom import kinetics, lesion_parts, perfusion, shapes
from sim.phantom.patterns import Pattern
from sim.phantom.random_fields import distance_to_path, draw_smooth_field
from sim.phantom.vessels import map_vessels


@pytest.fixture(scope="module")
def tissue() -> shapes.Grid:
    return make_lesion_grid()


def test_a_part_with_delays_equals_its_points_computed_one_by_one() -> None:
    delay = np.array([[0.0, 1.0, 2.5, 7.0]], np.float32)  # multiples of the step of 0.5 s
    curve = lambda t, wait: kinetics.lesion_curve(t, LIVER, TISSUE, wait)  # noqa: E731
    made = perfusion.compose_perfusion([perfusion.Part(np.ones_like(delay), curve, delay)], SECONDS)
    found = np.tensordot(made.curves, made.maps, axes=1)[:, 0]
    exact = np.stack([curve(SECONDS, float(d)) for d in delay[0]], axis=1)
    assert found == pytest.approx(exact, abs=1e-5)


def test_mean_over_a_mask_equals_the_mean_of_the_pixels(tissue: shapes.Grid) -> None:
    pattern = Pattern("mosaic", texture=0.4, nodules=4, feeders=2, capsule=True)
    parts = lesion_parts.build_lesion_parts(pattern, tissue, LIVER, TISSUE, np.random.default_rng(2))
    made = perfusion.compose_perfusion(parts, SECONDS)
    mask = tissue.rho < 1
    power = np.tensordot(made.curves, made.maps, axes=1)
    assert made.mean(mask) == pytest.approx(power[:, mask].mean(axis=1), rel=1e-4)


def test_lesion_and_liver_share_the_pane(tissue: shapes.Grid) -> None:
    plane = shapes.draw_plane((120, 120), 12.0, "HCC", 5.0, np.random.default_rng(1))
    vessels = map_vessels(plane.portal, plane.hepatic, (tissue.y, tissue.x), plane.mm_per_px)
    parts = perfusion.build_liver_parts(vessels, tissue, LIVER, np.random.default_rng(0))
    made = perfusion.compose_perfusion(parts, SECONDS)
    assert made.mean(tissue.rho < 0.9).max() < 1e-3
    far = (tissue.rho > 1.3) & (made.maps[1:].sum(axis=0) == 0)
    assert made.mean(far) == pytest.approx(kinetics.parenchyma_curve(SECONDS, LIVER), rel=0.2, abs=1e-3)


def test_vessels_stay_brighter_than_the_parenchyma(tissue: shapes.Grid) -> None:
    plane = shapes.draw_plane((120, 120), 12.0, "HCC", 3.0, np.random.default_rng(1))
    vessels = map_vessels(plane.portal, plane.hepatic, (tissue.y, tissue.x), plane.mm_per_px)
    made = perfusion.compose_perfusion(
        perfusion.build_liver_parts(vessels, tissue, LIVER, np.random.default_rng(0)), SECONDS
    )
    liver = kinetics.parenchyma_curve(SECONDS, LIVER)
    late = (SECONDS > 45) & (SECONDS < 200)
    for depth in (vessels.portal, vessels.hepatic):
        inside = (depth > 0.8) & (tissue.rho > 1.3)
        difference_db = 10 * np.log10(made.mean(inside)[late] / liver[late])
        assert 5 < difference_db.min() < difference_db.max() < 9


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
