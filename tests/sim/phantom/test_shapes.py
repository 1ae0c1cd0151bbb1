from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ceus_models.study.taxonomy import LESION_TYPES
from sim.phantom.shapes import IRREGULARITY, LARGEST_RADIUS, Outline, draw_plane

TURN = np.linspace(0, 2 * np.pi, 720, endpoint=False)


def _radii(fll_type: str, count: int = 200) -> NDArray[np.float64]:
    """Radii (n 720) of outlines relative to their mean radius."""
    planes = [draw_plane((300, 300), 12, fll_type, 4.0, np.random.default_rng(seed)) for seed in range(count)]
    return np.stack([plane.outline.radius(TURN) / plane.outline.radius_px for plane in planes])


def _waves(radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square (k) of the waves 0, 1, 2, ... over outlines."""
    found: NDArray[np.float64] = np.sqrt(np.mean(np.abs(np.fft.rfft(radii, axis=1) / TURN.size * 2) ** 2, axis=0))
    return found


def test_every_type_has_an_irregularity() -> None:
    assert set(IRREGULARITY) == set(LESION_TYPES)


@pytest.mark.parametrize("fll_type", LESION_TYPES)
def test_slow_waves_lead_and_quick_ones_fade(fll_type: str) -> None:
    waves = _waves(_radii(fll_type))
    assert waves[2:5].mean() > 2 * waves[7:10].mean() > 6 * waves[20:30].mean()


def test_metastases_are_rounder_and_abscesses_the_least_regular() -> None:
    rough = {fll_type: float(_radii(fll_type).std(axis=1).mean()) for fll_type in LESION_TYPES}
    assert min(rough, key=lambda name: rough[name]) == "HM"
    assert rough["HA"] > 1.4 * max(rough["HCC"], rough["OT"])
    assert rough["HM"] > 0.02, "no perfect disc"


@pytest.mark.parametrize("fll_type", LESION_TYPES)
def test_no_outline_reaches_further_than_allowed(fll_type: str) -> None:
    assert _radii(fll_type).max() < LARGEST_RADIUS + 0.01
    assert _radii(fll_type).min() > 0.3


def test_lobes_are_of_unequal_width() -> None:
    radius = Outline(0, 0, 1.0, (0.0, 0.0, 0.0, 0.1), (1.0, 0.0, 0.0, 0.0)).radius(TURN)
    tops = TURN[(radius > np.roll(radius, 1)) & (radius >= np.roll(radius, -1))]
    widths = np.diff(np.append(tops, tops[0] + 2 * np.pi))
    assert len(tops) == 5
    assert widths.max() > 1.5 * widths.min()
