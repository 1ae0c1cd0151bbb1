from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ceus_models.metrics.score_bins import BINS, CENTRES
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.strategies import FedAdam, FedProx
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Study
from ceus_models.plan.train_stage import Train, Validation
from ceus_models.plan.wire_nets import frozen_digest, on_wire, submodels
from ceus_models.protocol.messages import Architecture, LocalRule, Normaliser, Recipe, Update
from ceus_models.protocol.state import digest, select_net
from ceus_models.study.taxonomy import CLINICAL, COHORTS, SUBMODELS

STUDY = Study("plan-digest", 7, "processing-digest", Architecture(10, 10, 8, 8))
RECIPE = Recipe(
    STUDY.architecture, Normaliser(0.2, 0.1, 1.0, (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL)), ("age",), {}, 4
)
NETS = ("disease/HCC", "biomarker/Hep")
READY = Progress(recipe=RECIPE, nets={net: {"w": torch.zeros(2), "b": torch.ones(())} for net in NETS})


def training(**changes):
    return replace(Train("train", "t", NETS, ("training_a",), 5, validate=Validation(("validation",), 2)), **changes)


def record(stage="t", kind="train", number=1, counted=()):
    return RoundRecord(stage, kind, number, counted=tuple(counted))


def scores_of(place, lesions=10):
    """The histogram of a binary net with positive lesions in one bin."""
    scores = torch.zeros(1, 2, BINS, dtype=torch.int64)
    scores[0, 1, place] = lesions
    return scores


def loss_of(place):
    """The loss of a positive lesion in a bin."""
    return -math.log(CENTRES[place])


def validation_total(**places):
    """Ten positive lesions by net in one bin, over one cohort: the higher, the lower the loss."""
    names = dict(zip(("hcc", "hep"), NETS, strict=True))
    return {f"validation|{names[k]}|scores": scores_of(place) for k, place in places.items()}


def train_total(net, change, weight, loss=0.0):
    values = {"w": torch.full((2,), change), "b": torch.tensor(change), "#weight": weight, "#loss": loss}
    return {f"{net}|{name}": torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()}


def test_hello_keeps_the_counts_of_each_site():
    stage = Hello("hello")
    task = find_rounds(stage).task(Progress(), STUDY)
    assert (task.kind, task.cohorts, task.study, task.processing) == (
        "hello",
        COHORTS,
        "plan-digest",
        "processing-digest",
    )
    total = {}
    for site, held in (("a", {"training_a": 3, "validation": 0}), ("b", {"training_a": 2})):
        sums = {f"{c}|{what}": torch.tensor(n) for c, n in held.items() for what in ("lesions", "patients")}
        total |= find_rounds(stage).summand(task, Update(site, sums, 0.0))
    after = find_rounds(stage).absorb(Progress(), STUDY, total, record("hello", "hello", counted=("a", "b", "c")))
    assert after.counts == {"a": {"training_a": 3}, "b": {"training_a": 2}, "c": {}}
    assert after.count_lesions("a", ("training_a", "validation")) == 3
    assert after.count_lesions("unknown", ("training_a",)) == 0
    assert after.count_patients(("a", "b", "unknown"), ("training_a", "validation")) == 5


def test_statistics_tally_the_cohorts_of_submodels_and_of_fusion():
    task = find_rounds(Statistics("statistics")).task(Progress(), STUDY)
    assert (task.kind, task.cohorts, task.nets) == ("tally", ("training_a", "training_b"), ())


def test_steps_alternate_training_with_validation_and_end_with_it():
    kinds = [("train", 1), ("train", 2), ("evaluate", 2), ("train", 3), ("train", 4), ("evaluate", 4), ("train", 5)]
    assert training().sequence() == (*kinds, ("evaluate", 5))
    assert training().steps() == 8
    assert training(rounds=4).sequence()[-1] == ("evaluate", 4)
    assert training(validate=None).steps() == 5


def test_tasks_carry_the_rule_of_the_strategy_and_the_nets():
    stage = training(strategy=FedProx(0.3), rule=LocalRule(epochs=2))
    task = find_rounds(stage).task(READY, STUDY)
    assert (task.kind, task.round, task.cohorts, task.seed) == ("train", 1, ("training_a",), 7)
    assert task.rule == LocalRule(epochs=2, proximal_mu=0.3)
    assert task.nets == NETS
    assert set(task.inputs) == {f"{net}|{name}" for net in NETS for name in ("w", "b")}
    check = find_rounds(stage).task(replace(READY, step=2), STUDY)
    assert (check.kind, check.round, check.cohorts, check.rule, check.comparisons) == (
        "evaluate",
        2,
        ("validation",),
        None,
        False,
    )


def test_initial_nets_depend_on_seed_and_name_alone():
    stage = training(nets=("disease/HCC", "disease/HM"))
    empty = Progress(recipe=RECIPE)
    one, two = find_rounds(stage).prepare(empty, STUDY), find_rounds(stage).prepare(empty, STUDY)
    other = find_rounds(stage).prepare(empty, replace(STUDY, seed=8))
    alone = find_rounds(training(nets=("disease/HM",))).prepare(empty, STUDY)
    assert digest(one.nets["disease/HM"]) == digest(two.nets["disease/HM"]) == digest(alone.nets["disease/HM"])
    assert digest(one.nets["disease/HM"]) != digest(other.nets["disease/HM"])
    assert digest(one.nets["disease/HM"]) != digest(one.nets["disease/HCC"])
    assert find_rounds(stage).prepare(READY, STUDY).nets["disease/HCC"] is READY.nets["disease/HCC"], (
        "what exists is trained on"
    )


def test_a_round_moves_a_net_by_the_weighted_mean_change():
    total = train_total("disease/HCC", 6.0, weight=4.0, loss=8.0)
    after = find_rounds(training()).absorb(READY, STUDY, total, record())
    assert after.nets["disease/HCC"]["w"].tolist() == [1.5, 1.5]
    assert float(after.nets["disease/HCC"]["b"]) == 2.5
    assert after.nets["biomarker/Hep"] is READY.nets["biomarker/Hep"], "nobody had a label for it"
    assert [(p.net, p.curve, p.loss, p.weight) for p in after.curves] == [("disease/HCC", "training", 2.0, 4.0)]
    assert READY.nets["disease/HCC"]["w"].tolist() == [0.0, 0.0], "absorb is pure"


def test_a_strategy_remembers_from_round_to_round_and_forgets_after_the_stage():
    stage = training(strategy=FedAdam(), rounds=2, validate=None)
    once = find_rounds(stage).absorb(READY, STUDY, train_total("disease/HCC", 1.0, 1.0), record())
    assert int(once.memory["moments|disease/HCC"]["#steps"]) == 1
    twice = find_rounds(stage).absorb(replace(once, step=1), STUDY, train_total("disease/HCC", 1.0, 1.0), record())
    assert twice.memory == {}


def test_the_round_of_least_validation_loss_is_kept_by_net():
    """Bins by round: HCC 4, 20, 12 and Hep 12, 12, 12. So HCC ends as it was in the middle, Hep as it is at the end."""
    stage, progress = training(rounds=3, validate=Validation(every=1)), READY
    for number, (hcc, hep) in enumerate(((4, 12), (20, 12), (12, 12)), start=1):
        trained = train_total("disease/HCC", 1.0, 1.0) | train_total("biomarker/Hep", 1.0, 1.0)
        progress = (
            find_rounds(stage).absorb(progress, STUDY, trained, record(number=number)).advance(stage.steps(), record())
        )
        progress = find_rounds(stage).absorb(
            progress, STUDY, validation_total(hcc=hcc, hep=hep), record(kind="evaluate")
        )
        progress = progress.advance(stage.steps(), record())
    assert float(progress.nets["disease/HCC"]["w"][0]) == 2.0
    assert float(progress.nets["biomarker/Hep"]["w"][0]) == 3.0
    assert progress.memory == {}
    assert (progress.stage, progress.step) == (1, 0)
    losses = [p.loss for p in progress.curves if p.curve == "validation" and p.net == "disease/HCC"]
    assert losses == pytest.approx([loss_of(4), loss_of(20), loss_of(12)])


def test_a_net_that_no_lesion_validates_ends_as_it_is():
    stage = training(rounds=1, validate=Validation(every=1))
    trained = train_total("disease/HCC", 1.0, 1.0) | train_total("biomarker/Hep", 1.0, 1.0)
    progress = find_rounds(stage).absorb(READY, STUDY, trained, record()).advance(2, record())
    progress = find_rounds(stage).absorb(progress, STUDY, validation_total(hcc=20), record(kind="evaluate"))
    assert float(progress.nets["biomarker/Hep"]["w"][0]) == 1.0


def test_validation_adds_over_cohorts():
    stage = training(nets=("disease/HCC",), validate=Validation(("validation", "internal_test"), 1))
    total = {
        "validation|disease/HCC|scores": scores_of(4, 3),
        "internal_test|disease/HCC|scores": scores_of(20, 4),
    }
    weighed = replace(READY, recipe=replace(RECIPE, class_weights={"disease/HCC": (1.0, 2.0)}))
    after = find_rounds(stage).absorb(replace(weighed, step=1), STUDY, total, record(kind="evaluate"))
    assert after.curves[-1].loss == pytest.approx((3 * loss_of(4) + 4 * loss_of(20)) / 7)
    assert after.curves[-1].weight == 14.0, "of a weight of 2 each"


def test_fusion_tasks_name_the_submodels_by_digest_and_carry_only_the_fusion_net():
    nets = {net: {"w": torch.full((2,), float(i))} for i, net in enumerate(SUBMODELS)}
    progress = Progress(recipe=RECIPE, nets={**nets, "disease/all": {"w": torch.ones(1)}})
    stage = training(nets=("fusion/DC",), cohorts=("training_b",))
    ready = find_rounds(stage).prepare(progress, STUDY)
    task = find_rounds(stage).task(ready, STUDY)
    assert task.frozen == frozen_digest(progress) == digest(on_wire(nets))
    assert set(select_net(task.inputs, "fusion/DC")) == {"hidden.weight", "hidden.bias", "out.weight", "out.bias"}
    assert all(name.startswith("fusion/DC|") for name in task.inputs)
    assert set(submodels(ready)) == set(SUBMODELS)
    assert find_rounds(training()).task(replace(READY, frozen="x"), STUDY).frozen == "", "sub-models stand on nothing"


def test_evaluation_keeps_its_counts_under_its_name():
    stage = Evaluate("evaluate", "test", ("disease/HCC",), ("validation",), 30)
    task = find_rounds(stage).task(find_rounds(stage).prepare(READY, STUDY), STUDY)
    assert (task.kind, task.comparisons, task.nets, task.cohorts) == (
        "evaluate",
        True,
        ("disease/HCC",),
        ("validation",),
    )
    assert task.replicates == 0, "the coordinator draws them"
    assert find_rounds(replace(stage, paired_replicates=20)).task(READY, STUDY).replicates == 20
    noised = replace(stage, noise=1.5, level="distributed", noise_sites=4)
    assert [noised.compute_noise_sd(n) for n in (4, 9)] == pytest.approx([1.5 * 2 * 2**0.5, 1.5 * 3 * 2**0.5])
    total = {"x": torch.ones(1)}
    assert find_rounds(stage).absorb(READY, STUDY, total, record()).totals == {"test": total}


def test_training_without_statistics_is_a_fault_of_the_program():
    with pytest.raises(ValueError, match="statistics stage"):
        find_rounds(training()).prepare(Progress(), STUDY)
