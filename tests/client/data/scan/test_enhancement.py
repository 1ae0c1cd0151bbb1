"""Arrival, reference frame and the verdict on contrast, from curves that are known."""

from __future__ import annotations

import numpy as np
import pytest

from client.data.imaging.recording import F64
from client.data.scan.enhancement import NO, PERHAPS, YES, judge_contrast, measure_enhancement

SECONDS = np.arange(0, 60, 0.5)


def bolus(arrival: float, height: float = 60.0) -> F64:
    after = np.clip(SECONDS - arrival, 1e-6, None)
    return np.asarray(12 + height * np.exp(-0.5 * (np.log(after / 12) / 0.6) ** 2))


@pytest.mark.parametrize("arrival", [5.0, 12.0, 30.0])
def test_a_bolus_is_found_with_its_arrival_and_first_peak(arrival: float) -> None:
    found = measure_enhancement(bolus(arrival), SECONDS)
    assert found.arrival_s is not None
    assert arrival < found.arrival_s < arrival + 8
    assert abs(SECONDS[found.reference] - (arrival + 12)) < 2
    assert judge_contrast(found, False, False, False)[0] == YES


def test_the_reference_lies_in_the_arterial_phase_where_the_liver_peaks_later() -> None:
    slow = 10 + 60 * np.clip((SECONDS - 5) / 54, 0, 1)
    found = measure_enhancement(slow, SECONDS)
    assert found.arrival_s is not None
    assert SECONDS[found.reference] <= found.arrival_s + 30


def test_a_flash_is_neither_arrival_nor_reference() -> None:
    levels = bolus(10.0)
    levels[100:102] = 200.0
    assert abs(SECONDS[measure_enhancement(levels, SECONDS).reference] - 22) < 2


@pytest.mark.parametrize("level", [4.0, 60.0])
def test_breathing_tissue_and_noise_show_no_contrast(level: float) -> None:
    draw = np.random.default_rng(1)
    levels = level + 2.0 * np.sin(SECONDS) + draw.normal(0, 0.5, len(SECONDS))
    found = measure_enhancement(levels, SECONDS)
    assert found.arrival_s is None
    assert judge_contrast(found, False, False, False)[0] == NO
    assert judge_contrast(found, True, False, False)[0] == PERHAPS
    assert judge_contrast(found, False, False, True)[0] == PERHAPS
    assert judge_contrast(found, True, True, False)[0] == YES


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames_are_enough(frames: int) -> None:
    found = measure_enhancement(np.linspace(5, 90, frames), np.arange(frames, dtype=np.float64))
    assert 0 <= found.reference < frames
