"""Features of the classical baselines, against loops over pixels and values put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_lesions import lesion

from sim.runs.classical.features import ZONES, average_zones, measure_curve, measure_zones, read_clinical


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 33, 33), (1, 24, 40)])
def test_zones_are_rings_and_every_pixel_is_in_one(shape: tuple[int, int, int]) -> None:
    frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    rows, columns = shape[1:]
    inside: list[list[list[float]]] = [[[] for _ in frames] for _ in range(ZONES)]
    for y in range(rows):
        for x in range(columns):
            away = (((y + 0.5) / rows - 0.5) ** 2 + ((x + 0.5) / columns - 0.5) ** 2) ** 0.5 / 0.5
            for t, frame in enumerate(frames):
                inside[min(4, int(away * 5))][t].append(frame[y, x] / 255)
    assert all(all(zone) for zone in inside)
    assert average_zones(frames) == pytest.approx(np.array([[np.mean(t) for t in zone] for zone in inside]))


def test_a_bright_middle_is_told_from_a_bright_rim() -> None:
    frames = np.zeros((1, 32, 32), dtype=np.uint8)
    frames[0, 14:18, 14:18] = 255
    zones = average_zones(frames)[:, 0]
    assert zones[0] == 0.5
    assert zones[1:].max() == 0.0
    assert measure_zones(replace(lesion(1), frames=frames)).tolist() == zones.tolist()


def test_curve_parameters_are_the_lesions_over_its_peak_and_missing_ones_are_nan() -> None:
    frames = np.full((3, 16, 16), 51, dtype=np.uint8)
    frames[1, 4:12, 4:12], frames[2, 4:12, 4:12] = 255, 0
    given = replace(
        lesion(1),
        frames=frames,
        curve=np.array([0.1, 1.0, 0.3], np.float32),
        quality={"t0": 11.0, "TTP": 9.0, "PE": 50.0, "WiR": 10.0, "WoAUC": 100.0},
    )
    found = measure_curve(given)
    assert (len(found), found[0], found[2]) == (17, 11.0, 9.0)
    assert (found[7], found[11]) == (0.2, 2.0)
    assert np.isnan(found[[1, 3, 4, 5, 6, 8, 9, 10]]).all()
    first, peak, last, most, least = found[12:]
    assert first == pytest.approx(0.0)
    assert (most, least) == (peak, last)
    zones = average_zones(frames)
    assert peak == pytest.approx(zones[:2, 1].mean() - zones[4, 1])
    assert peak > 0.5
    assert last < 0


def test_a_lesion_without_enhancement_has_no_ratio_and_no_error() -> None:
    found = measure_curve(replace(lesion(1), quality={"peak_s": 3.0}))
    assert found[1] == 3.0
    assert np.isnan(found[7:12]).all()
    assert np.isfinite(found[12:]).all()


def test_clinical_variables_stay_unknown_where_they_are() -> None:
    given = lesion(4)
    assert np.isnan(read_clinical(given)).tolist() == np.isnan(given.clinical).tolist()
