"""Cohorts at a given ratio: their make-up, and that the same seed draws the same lesions."""

from __future__ import annotations

import numpy as np

from ceus_models.study.taxonomy import LESION_TYPES, MALIGNANT_TYPES
from sim.experiments.entry import judge_accuracy, judge_best
from sim.experiments.experiment_file import Claim, Scenario
from sim.experiments.prevalence import drawn

TARGET = np.array([LESION_TYPES.index(name) for name in ("HCC", "HM", "ICC", "HH", "HA", "OT")] * 5 + [-1] * 4)


def malignant(chosen: np.ndarray) -> int:  # type: ignore[type-arg]
    return sum(LESION_TYPES[i] in MALIGNANT_TYPES for i in TARGET[chosen])


def test_a_cohort_has_the_scenarios_ratio_and_no_lesion_without_a_label() -> None:
    for ratio, expected in (((1, 9), 10), ((5, 5), 50), ((9, 1), 90)):
        cohort = drawn(TARGET, Scenario("s", *ratio), 100, seed=4)
        assert len(cohort) == 100
        assert malignant(cohort) == expected
        assert (TARGET[cohort] >= 0).all()


def test_the_seed_decides() -> None:
    scenario = Scenario("s", 5, 5)
    assert (drawn(TARGET, scenario, 40, 1) == drawn(TARGET, scenario, 40, 1)).all()
    assert (drawn(TARGET, scenario, 40, 1) != drawn(TARGET, scenario, 40, 2)).any()


def test_what_is_said_of_a_claim_follows_from_the_numbers() -> None:
    claim = Claim("B is better.", "B")
    assert judge_best(claim, "B", apart=True).endswith("This is reproduced.")
    assert judge_best(claim, "B", apart=False).endswith("in direction only, within the interval.")
    assert judge_best(claim, "A", apart=True).endswith("This is not reproduced.")
    assert judge_accuracy(claim, holds=True, learned=True).endswith("This is reproduced.")
    assert judge_accuracy(claim, holds=False, learned=True).endswith("This is not reproduced.")
    assert "says nothing" in judge_accuracy(claim, holds=True, learned=False)
    assert judge_best(None, "A", apart=True) == judge_accuracy(None, holds=True, learned=True) == ""
