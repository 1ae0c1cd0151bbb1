"""Cohorts at a given ratio: their make-up, and that the same seed draws the same lesions."""

from __future__ import annotations

import numpy as np

from ceus_models.study.taxonomy import LESION_TYPES, MALIGNANT_TYPES
from sim.experiments.entry import describe_best_claim, describe_stable_claim
from sim.experiments.experiment_file import Claim, Scenario
from sim.experiments.prevalence import draw_cohort

TARGET = np.array([LESION_TYPES.index(name) for name in ("HCC", "HM", "ICC", "HH", "HA", "OT")] * 5 + [-1] * 4)


def malignant(chosen: np.ndarray) -> int:  # type: ignore[type-arg]
    return sum(LESION_TYPES[i] in MALIGNANT_TYPES for i in TARGET[chosen])


def test_a_cohort_has_the_scenarios_ratio_and_no_lesion_without_a_label() -> None:
    for ratio, expected in (((1, 9), 10), ((5, 5), 50), ((9, 1), 90)):
        cohort = draw_cohort(TARGET, Scenario("s", *ratio), 100, seed=4)
        assert len(cohort) == 100
        assert malignant(cohort) == expected
        assert (TARGET[cohort] >= 0).all()


def test_the_seed_decides() -> None:
    scenario = Scenario("s", 5, 5)
    assert (draw_cohort(TARGET, scenario, 40, 1) == draw_cohort(TARGET, scenario, 40, 1)).all()
    assert (draw_cohort(TARGET, scenario, 40, 1) != draw_cohort(TARGET, scenario, 40, 2)).any()


def test_what_is_said_of_a_claim_follows_from_the_numbers() -> None:
    claim = Claim("B is better.", "B")
    assert describe_best_claim(claim, "B", apart=True).endswith("This is reproduced.")
    assert describe_best_claim(claim, "B", apart=False).endswith("in direction only, within the interval.")
    assert describe_best_claim(claim, "A", apart=True).endswith("This is not reproduced.")
    assert describe_stable_claim(claim, holds=True, learned=True).endswith("This is reproduced.")
    assert describe_stable_claim(claim, holds=False, learned=True).endswith("This is not reproduced.")
    assert "says nothing" in describe_stable_claim(claim, holds=True, learned=False)
    assert describe_best_claim(None, "A", apart=True) == describe_stable_claim(None, holds=True, learned=True) == ""
