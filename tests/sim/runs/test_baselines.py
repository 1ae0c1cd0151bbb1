"""The baselines: what a center alone is asked to do, and what is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ceus_models.plan.plan import load_plan
from ceus_models.plan.stages import Evaluate, Statistics
from ceus_models.plan.strategies import FedAvg, FedProx
from ceus_models.plan.train_stage import Train, Validation
from ceus_models.study.taxonomy import TEST_COHORTS
from sim.runs.baselines import centralise_plan, localise_plan, pool_plan, select_scores

PLAN = load_plan(Path(__file__).parents[3] / "configs" / "plan.smoke.yaml")


def test_a_center_alone_learns_its_fusion_from_its_own_lesions() -> None:
    plan = localise_plan(PLAN)
    trained = [stage for stage in plan.stages if isinstance(stage, Train)]
    assert all(stage.cohorts == ("training_a",) for stage in trained)
    assert [stage.rounds for stage in trained] == [s.rounds for s in PLAN.stages if isinstance(s, Train)]
    assert all(s.fusion_cohorts == ("training_a",) for s in plan.stages if isinstance(s, Statistics))
    tested = [stage for stage in plan.stages if isinstance(stage, Evaluate)]
    assert [set(stage.cohorts) for stage in tested] == [set(TEST_COHORTS)]
    assert plan.digest() != PLAN.digest()


def test_a_baseline_trains_without_the_strategys_means_against_averaging() -> None:
    pulled = tuple(replace(s, strategy=FedProx(0.5)) if isinstance(s, Train) else s for s in PLAN.stages)
    trained = [stage for stage in centralise_plan(replace(PLAN, stages=pulled)).stages if isinstance(stage, Train)]
    assert trained
    assert all(stage.strategy == FedAvg() for stage in trained)
    assert all(stage.strategy.local(stage.rule).proximal_mu == 0 for stage in trained)


def test_a_baseline_passes_over_its_lesions_as_often_as_a_site_that_is_asked_now_and_then() -> None:
    shared = tuple(
        replace(s, rounds=80, share=0.25, validate=Validation(every=8)) if isinstance(s, Train) else s
        for s in PLAN.stages
    )
    trained = [stage for stage in centralise_plan(replace(PLAN, stages=shared)).stages if isinstance(stage, Train)]
    assert {(stage.rounds, stage.share, stage.validate and stage.validate.every) for stage in trained} == {(20, 1.0, 2)}


def test_pooled_training_has_the_simulations_rate() -> None:
    simulated = replace(PLAN, simulation={**PLAN.simulation, "pooled_rate": 0.0123})
    expected = centralise_plan(PLAN)
    for ours, theirs in zip(pool_plan(simulated).stages, expected.stages, strict=True):
        at_that_rate = (
            replace(theirs, rule=replace(theirs.rule, learning_rate=0.0123)) if isinstance(theirs, Train) else theirs
        )
        assert ours == at_that_rate
    assert pool_plan(PLAN) == expected
    assert centralise_plan(simulated).stages == expected.stages


def test_scores_are_those_of_the_full_model() -> None:
    accuracy = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 10}
    cohorts = {
        "internal_test": {"models": {"DCB": {"accuracy": accuracy, "macro_auc": {}}}},
        "external_test_a": {"models": {"D": {"accuracy": accuracy}}},
    }
    assert select_scores({"cohorts": cohorts}) == {"internal_test": {"accuracy": accuracy}}
