"""Cohorts at a given ratio: their make-up, and that the same seed draws the same lesions."""

from __future__ import annotations

import numpy as np

from ceus_models.study.taxonomy import LESION_TYPES, MALIGNANT_TYPES
from sim.experiments.entry import describe_best_claim, describe_stable_claim
from sim.experiments.experiment_file import Claim, Scenario
from sim.experiments.prevalence import _compute_scores, _count_lesions, draw_cohort

TARGET = np.array([LESION_TYPES.index(name) for name in ("HCC", "HM", "ICC", "HH", "HA", "OT")] * 5 + [-1] * 4)


def malignant(chosen: np.ndarray) -> int:  # type: ignore[type-arg]
    return sum(LESION_TYPES[i] in MALIGNANT_TYPES for i in TARGET[chosen])


def test_a_cohort_has_the_scenarios_ratio_and_no_lesion_without_a_label() -> None:
    for ratio, expected in (((1, 9), 10), ((5, 5), 50), ((9, 1), 90)):
        cohort = draw_cohort(TARGET, Scenario("s", *ratio), 100, seed=4)
        assert len(cohort) == 100
        assert malignant(cohort) == expected
        assert (TARGET[cohort] >= 0).all()
        assert "OT" not in {LESION_TYPES[i] for i in TARGET[cohort]}


def test_other_is_neither_malignant_nor_benign() -> None:
    kinds = {name: i for i, name in enumerate(LESION_TYPES)}
    truth = np.array([kinds[name] for name in ("HCC", "HCC", "HH", "HA", "HH")])
    said = np.array([kinds[name] for name in ("HM", "OT", "HA", "OT", "HH")])
    accuracy, either, malignant_right, benign_right = _compute_scores(truth, said)
    assert (accuracy, either) == (1 / 5, 3 / 5)
    assert (malignant_right, benign_right) == (1 / 2, 2 / 3)
    assert _count_lesions(TARGET) == {"malignant": 15, "benign": 10}


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
