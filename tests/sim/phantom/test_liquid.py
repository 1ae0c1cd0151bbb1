from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sim.phantom import shapes
from sim.phantom.liquid import fill_with_liquid
from sim.phantom.patterns import Pattern


@pytest.fixture(scope="module")
def tissue() -> shapes.Grid:
    return shapes.make_grid(shapes.draw_plane((160, 160), 12.0, "HA", 7.0, np.random.default_rng(1)), 4)


def _fill(pattern: Pattern, tissue: shapes.Grid, seed: int) -> np.ndarray:
    return fill_with_liquid(pattern, tissue, np.random.default_rng(seed)).liquid


def test_liquid_lies_behind_a_wall(tissue: shapes.Grid) -> None:
    for seed in range(10):
        liquid = _fill(Pattern("cavity", rim_mm=4.0, nodules=5), tissue, seed)
        assert 0 <= liquid.min() <= liquid.max() <= 1
        assert liquid[tissue.inside_mm < 0.6].max() == 0
        assert 0.05 < liquid[tissue.rho < 1].mean() < 0.9


def test_chambers_differ_in_size_and_number(tissue: shapes.Grid) -> None:
    counts, unequal = set(), []
    for seed in range(20):
        liquid = _fill(Pattern("cavity", rim_mm=3.0, nodules=4), tissue, seed)
        parts, _ = ndimage.label(liquid > 0.5)
        areas = np.bincount(parts.ravel())[1:]
        areas = areas[areas > 5]
        counts.add(len(areas))
        if len(areas) > 1:
            unequal.append(areas.max() / areas.min())
    assert len(counts) >= 3
    assert np.median(unequal) > 2


def test_necrosis_has_its_share(tissue: shapes.Grid) -> None:
    for share in (0.1, 0.3):
        found = [_fill(Pattern("diffuse", necrosis=share), tissue, seed)[tissue.rho < 1].mean() for seed in range(10)]
        assert np.mean(found) == pytest.approx(share, abs=0.06)


def test_a_solid_lesion_has_none(tissue: shapes.Grid) -> None:
    assert _fill(Pattern("diffuse"), tissue, 1).max() == 0
