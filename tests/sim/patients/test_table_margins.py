"""Counts are met exactly, and what is not counted keeps its distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.patients.study_table import AGE_YEARS, TUMOR_SIZE_CM
from sim.patients.table_margins import apportion, choose_by_quota, fill_bands, fit_to_bands


def test_apportion_by_hand() -> None:
    # 10 in 5:3:1 = 5.56, 3.33, 1.11 -> floors 5, 3, 1; the one left goes to the largest remainder.
    assert apportion(10, {"a": 5, "b": 3, "c": 1}) == {"a": 6, "b": 3, "c": 1}
    assert apportion(0, {"a": 0.0}) == {"a": 0}


def test_apportion_gives_every_share_its_floor_or_ceiling() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        weights = dict(enumerate(rng.gamma(0.7, size=9).tolist()))
        total = int(rng.integers(1, 400))
        shares = apportion(total, weights)
        assert sum(shares.values()) == total
        for key, weight in weights.items():
            assert abs(shares[key] - total * weight / sum(weights.values())) < 1


def test_nothing_can_be_shared_among_no_weights() -> None:
    with pytest.raises(ValueError, match="expected weights with a sum above 0"):
        apportion(3, {"a": 0.0})


def test_a_patient_too_large_for_a_band_goes_to_the_next() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    lesions = np.array([1, 3, 1, 1])
    # The band of 2 takes the first and, having room for one lesion, the third patient.
    assert fill_bands(scores, lesions, (2, 3, 1)).tolist() == [0, 1, 0, 2]


def test_a_quota_shifts_the_odds_of_all_alike() -> None:
    rng = np.random.default_rng(1)
    n = 40_000
    chances = np.repeat([0.2, 0.6], n)
    said_yes = choose_by_quota(rng.random(2 * n), chances, np.ones(2 * n, dtype=np.int64), round(0.55 * 2 * n))
    assert said_yes.sum() == round(0.55 * 2 * n)
    low, high = said_yes[:n].mean(), said_yes[n:].mean()
    log_odds_ratio = math.log(high / (1 - high)) - math.log(low / (1 - low))
    assert log_odds_ratio == pytest.approx(math.log(0.6 / 0.4) - math.log(0.2 / 0.8), abs=0.06)


def test_a_quota_that_is_already_met_changes_nobody() -> None:
    rng = np.random.default_rng(2)
    uniforms, chances = rng.random(500), rng.uniform(0.1, 0.9, 500)
    alone = uniforms < chances
    again = choose_by_quota(uniforms, chances, np.ones(500, dtype=np.int64), int(alone.sum()))
    assert np.array_equal(again, alone)


def test_bands_hold_their_quotas_and_keep_the_order() -> None:
    rng = np.random.default_rng(3)
    raw = 38 * 1.7 ** rng.standard_normal(900)
    quotas = (200, 400, 240, 60)
    tenths = fit_to_bands(raw, np.ones(900, dtype=np.int64), quotas, TUMOR_SIZE_CM)
    names = [TUMOR_SIZE_CM.find_band(value / 10) for value in tenths.tolist()]
    assert [names.count(name) for name in TUMOR_SIZE_CM.names] == list(quotas)
    assert np.all(np.diff(tenths[np.argsort(raw)]) >= 0)


def test_bands_of_patients_with_several_lesions_are_exact() -> None:
    rng = np.random.default_rng(4)
    lesions = rng.choice([1, 1, 1, 1, 2, 3], 300)
    quotas = tuple(apportion(int(lesions.sum()), {"<50": 28, "50-60": 35, ">60": 37}).values())
    ages = fit_to_bands(rng.normal(57, 11, 300), lesions, quotas, AGE_YEARS)
    names = np.array([AGE_YEARS.find_band(age) for age in ages.tolist()])
    assert tuple(int(lesions[names == name].sum()) for name in AGE_YEARS.names) == quotas


@pytest.mark.parametrize("quotas", [(0, 0, 3), (3, 0, 0), (0, 3, 0), (1, 1, 1)])
def test_bands_may_be_empty(quotas: tuple[int, int, int]) -> None:
    ages = fit_to_bands(np.array([30.0, 55.0, 70.0]), np.ones(3, dtype=np.int64), quotas, AGE_YEARS)
    names = [AGE_YEARS.find_band(age) for age in ages.tolist()]
    assert tuple(names.count(name) for name in AGE_YEARS.names) == quotas


def test_band_boundaries_are_the_documented_ones() -> None:
    assert [AGE_YEARS.find_band(age) for age in (49, 50, 60, 61)] == ["<50", "50-60", "50-60", ">60"]
    sizes = [TUMOR_SIZE_CM.find_band(size) for size in (2.9, 3.0, 5.0, 5.1, 10.0, 10.1)]
    assert sizes == ["<3", "3-5", "3-5", "5-10", "5-10", ">10"]
