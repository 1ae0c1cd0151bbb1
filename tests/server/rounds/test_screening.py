"""The eight ways in which a bad site breaks or poisons stock Flower, and those of the other kinds of answer."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from ceus_models.plan.progress import Progress
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, PrivateRule, Quantisation, Task, Update
from ceus_models.protocol.software import RequiredSoftware, Software
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.study.taxonomy import COHORTS
from server.rounds.round import Adder, PartialRound
from server.rounds.screening import Gate, compute_reference
from tests.support.fake_sites import FakeSite, lesions_of

NET = "disease/HCC"
HELD = {"training_a": 10, "validation": 6}
SITE = FakeSite("site-01", lesions_of("site-01", HELD))


def task_of(kind, **changes):
    inputs = {f"{NET}|w": torch.ones(3, 2), f"{NET}|bias": torch.ones(2)} if kind in ("train", "evaluate") else {}
    cohorts = {"hello": COHORTS, "tally": ("training_a",), "train": ("training_a",), "evaluate": ("validation",)}
    task = Task(
        kind,
        study="s",
        seed=1,
        stage="stage",
        round=1,
        nets=(NET,) if inputs else (),
        cohorts=cohorts[kind],
        inputs=inputs,
        rule=LocalRule(batch_size=4) if kind == "train" else None,
        comparisons=kind == "evaluate",
        replicates=5 if kind == "evaluate" else 0,
    )
    return replace(task, **changes)


def fault_of(kind, change, **settings):
    """The gate's word on the honest answer after `change(sums)` -> sums."""
    task = task_of(kind)
    answer = SITE.answer(task)
    assert isinstance(answer, Update)
    gate = Gate(task, Screening(), {"site-01": HELD}, **settings)
    return gate.screen("site-01", replace(answer, sums=change({n: t.clone() for n, t in answer.sums.items()}))).fault


def setting(name, value):
    return lambda sums: {**sums, name: value if isinstance(value, torch.Tensor) else sums[name] * 0 + value}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, None),
        ({"trunk|#loss": torch.tensor(3.0).double()}, r"#loss must be \(9,\) float64"),
        ({"trunk|#labelled": torch.ones(8, dtype=torch.int64)}, r"#labelled must be \(9,\) int64"),
        ({"trunk|#loss": torch.tensor([1.0] * 8 + [-1.0]).double()}, "loss of trunk must be 0 to .* found -1"),
        ({"trunk|#loss": torch.tensor([1.0] * 8 + [1e6]).double()}, "loss of trunk must be 0 to .* found 1e.06"),
        ({"trunk|#labelled": torch.tensor([8] * 8 + [9])}, "trunk must have 0 to 8 lesions with a result in each head"),
        ({"trunk|#labelled": torch.tensor([8] * 8 + [-1])}, "trunk must have 0 to 8 lesions"),
        ({"trunk|spatial_head.weight": torch.zeros(5, 4)}, r"must be \(9, 4\) float32, found \(5, 4\)"),
        ({"disease/HCC|spatial_head.weight": torch.zeros(1, 4)}, "found disease/HCC"),
    ],
)
def test_what_a_site_says_of_the_heads_of_a_trunk(change, word):
    task = task_of("train", nets=("trunk",), inputs={"trunk|spatial_head.weight": torch.ones(9, 4)})
    sums = {
        "trunk|spatial_head.weight": torch.full((9, 4), 0.1),
        "trunk|#weight": torch.tensor(8.0).double(),
        "trunk|#loss": torch.ones(9).double(),
        "trunk|#labelled": torch.tensor([8] * 5 + [3, 0, 2, 8]),
    }
    answer = Update("site-01", {**sums, **change}, 8.0, task=compute_task_id(task))
    fault = Gate(task, Screening(), {"site-01": HELD}).screen("site-01", answer).fault
    assert fault is None if word is None else re.search(word, str(fault))


@pytest.mark.parametrize("kind", ["hello", "tally", "train", "evaluate"])
def test_an_honest_answer_passes(kind):
    assert fault_of(kind, lambda sums: sums) is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (setting(f"{NET}|w", float("nan")), "NaN or infinity"),
        (setting(f"{NET}|bias", float("inf")), "NaN or infinity"),
        (setting(f"{NET}|w", 1e30), "change of"),
        (lambda s: {n: t for n, t in s.items() if n != f"{NET}|bias"}, "bias is missing"),
        (setting(f"{NET}|extra", torch.zeros(1)), "only tensors of the task are allowed, found disease/HCC.extra"),
        (setting("disease/HM|w", torch.zeros(1)), "allowed, found disease/HM"),
        (setting(f"{NET}|w", torch.zeros(2, 3)), r"must be \(3, 2\) float32, found \(2, 3\)"),
        (setting(f"{NET}|w", torch.zeros(3, 2, dtype=torch.int64)), "int64"),
        (setting(f"{NET}|w", torch.zeros(3, 2, dtype=torch.float64)), "float64"),
        (setting(f"{NET}|#weight", 1e9), "weight .* found 1e.09"),
        (setting(f"{NET}|#weight", -5.0), "weight .* found -5"),
        (setting(f"{NET}|#weight", 0.0), "must be above 0"),
        (setting(f"{NET}|#loss", -1.0), "loss .* found -1"),
        (setting(f"{NET}|w", 1e4), "change of"),
    ],
)
def test_a_bad_change_is_named(change, word):
    fault = fault_of("train", change)
    assert fault is not None
    assert re.search(word, fault), fault


@pytest.mark.parametrize("weight", [1e9, -5.0, float("nan"), float("inf")])
def test_a_bad_declared_weight_is_named(weight):
    for kind in ("tally", "train", "evaluate"):
        task = task_of(kind)
        answer = replace(SITE.answer(task), weight=weight)
        assert "weight must be 0 to" in Gate(task, Screening(), {"site-01": HELD}).screen("site-01", answer).fault


def test_an_answer_in_another_name_is_refused():
    task = task_of("train")
    fault = Gate(task, Screening(), {"site-02": HELD}).screen("site-02", SITE.answer(task)).fault
    assert fault == "the answer must name the site 'site-02', found 'site-01'"


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        ("hello", setting("training_a|lesions", -1), "must be 0 to 1000000"),
        ("hello", setting("training_a|lesions", 10**7), "must be 0 to 1000000"),
        ("hello", setting("training_a|patients", 11), "as many patients as lesions"),
        ("hello", setting("training_c|lesions", torch.tensor(1)), "only tensors of the task"),
        ("tally", setting("training_a|types", torch.tensor([11, 0, 0, 0, 0, 0])), "0 to 10 lesions"),
        ("tally", setting("training_a|types", torch.tensor([6, 6, 0, 0, 0, 0])), "6 to 12|0 to 12"),
        ("tally", setting("training_a|biomarkers", -1), "found -"),
        ("tally", setting("training_a|clinical", float("nan")), "NaN"),
        (
            "tally",
            setting("training_a|levels", torch.tensor([10, 1e6, 1], dtype=torch.float64)),
            "too large for 10 lesions",
        ),
        ("evaluate", setting(f"validation|{NET}|confusion", -1), "negative"),
        ("evaluate", setting(f"validation|{NET}|confusion", 100), "at most 6 lesions"),
        ("evaluate", setting(f"validation|{NET}|replicates", 200), "at most 6 lesions"),
        ("evaluate", setting(f"validation|{NET}|replicates", -1), "negative"),
        ("evaluate", setting(f"validation|{NET}|scores", 0), "other lesions in its scores"),
    ],
)
def test_bad_counts_are_named(kind, change, word):
    fault = fault_of(kind, change)
    assert fault is not None
    assert re.search(word, fault), fault


SUITE = "external_test_c"
READ = FakeSite("site-01", lesions_of("site-01", {SUITE: 9}))


def judged_suite(change):
    """The gate's word on two fusion nets' evaluation with subgroups, pairs and readers."""
    nets = ("fusion/D", "fusion/DCB")
    task = task_of("evaluate", nets=nets, cohorts=(SUITE,), inputs={f"{net}|w": torch.ones(2) for net in nets})
    answer = READ.answer(task)
    sums = change({n: t.clone() for n, t in answer.sums.items()})
    gate = Gate(task, Screening(), {"site-01": {SUITE: 9}})
    return gate.screen("site-01", replace(answer, sums=sums)).fault


def at(name, place, value):
    def change(sums):
        sums[f"{SUITE}|{name}"][place] = value
        return sums

    return change


def test_an_honest_evaluation_with_readers_passes():
    assert judged_suite(lambda sums: sums) is None
    assert judged_suite(lambda s: {n: t for n, t in s.items() if "|readers|" not in n}) is None, (
        "not every site has reads"
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: {n: t for n, t in s.items() if not n.endswith("DCB|groups")}, "groups is missing"),
        (lambda s: {**s, "validation|pairs|right": torch.zeros(2, 2, 2, 2)}, "only tensors of the task"),
        (lambda s: {**s, f"{SUITE}|pairs|right": torch.zeros(2, 2, 2)}, "must be"),
        (lambda s: {**s, f"{SUITE}|readers|names": torch.zeros(3)}, "only tensors of the task"),
        (at("fusion/D|scores", (0, 0, 3), 11), "other lesions in its scores"),
        (at("fusion/DCB|groups", (0, 0), 10), "groups counts other lesions"),
        (at("fusion/DCB|groups", (5, 1), -1), "groups counts other lesions"),
        (at("fusion/DCB|withheld", 0, 2), "withheld must be 0 to 1"),
        (at("fusion/DCB|own", 1, 30), "own is"),
        (at("groups", 0, 10), "at most 9 lesions"),
        (at("pairs|right", (0, 0, 1), 9), "compares lesions that the confusion matrix"),
        (at("pairs|right", (0, 1, 1), -1), "compares lesions that the confusion matrix"),
        (at("readers|confusion", (0, 0, 0, 0), 10), "more reads than 9"),
        (at("readers|confusion", (0, 0, 0, 0), -1), "more reads than 9"),
        (at("readers|pairs", (0, 0, 0), 30), "compares more lesions than were read"),
        (at("readers|confidence", (0, 0, 4, 1), 30), "confidence counts other reads"),
        (at("readers|confidence", (0, 0, 4, 0), -1), "confidence counts other reads"),
        (at("readers|seconds", (0, 0, 0), 30.0), "seconds counts more reads"),
        (at("readers|seconds", (0, 0, 1), 1e5), "seconds counts more reads"),
        (at("readers|seconds_change", (0, 0), -1.0), "seconds_change counts more reads"),
        (at("mix", (0, 0), 10), "mix counts lesions"),
        (at("mix", (0, 0), -1), "mix counts lesions"),
        (at("readers|model", (1, 7, 1), 1), "compares more lesions than were read"),
    ],
)
def test_bad_comparisons_are_named(change, word):
    fault = judged_suite(change)
    assert fault is not None
    assert re.search(word, fault), fault


def test_a_change_is_held_against_the_previous_round_per_local_step():
    """10 lesions in batches of 4 are 3 steps: bound 20 · 0.1 · 3 = 6 per unit weight. The net's own norm is √8."""

    def moving(by):
        return lambda sums: {**sums, f"{NET}|w": torch.full((3, 2), by * 10.0 / 6**0.5), f"{NET}|bias": torch.zeros(2)}

    assert fault_of("train", moving(5.9), reference={NET: 0.1}) is None
    assert "must be at most 6, found 6.1" in fault_of("train", moving(6.1), reference={NET: 0.1})
    assert fault_of("train", moving(28.0)) is None, "the first round has only the absolute bound 10 · √8 = 28.3"
    assert "must be at most 28.3, found 28.5" in fault_of("train", moving(28.5))


def test_a_converged_net_excludes_nobody_for_a_change_below_the_floor():
    """Most sites of a net that is nearly right hardly move it; one whose cases are still wrong moves it 30 times more.

    The net's own norm is √8, a tenth of it 0.283 per unit weight.
    """

    def moving(by):
        return lambda sums: {**sums, f"{NET}|w": torch.full((3, 2), by * 10.0 / 6**0.5), f"{NET}|bias": torch.zeros(2)}

    assert fault_of("train", moving(0.28), reference={NET: 0.28 / 30 / 3}) is None
    assert "must be at most 0.283, found 0.285" in fault_of("train", moving(0.285), reference={NET: 1e-9})


def test_no_site_may_use_up_the_range_in_which_sums_are_exact():
    change = setting(f"{NET}|w", 100.0)
    assert fault_of("train", change, asked=1) is None
    assert "must stay below 83.9 for one site" in fault_of("train", change, asked=50_000)


def test_the_reference_is_the_latest_training_round_of_the_same_stage():
    records = (
        RoundRecord("stage", "train", 1, norms={NET: 3.0, "disease/HM": 1.0}),
        RoundRecord("stage", "train", 2, norms={NET: 2.0}),
        RoundRecord("stage", "evaluate", 2),
        RoundRecord("other", "train", 1, norms={NET: 9.0}),
    )
    assert compute_reference(Progress(participation=records), task_of("train")) == {NET: 2.0}
    assert compute_reference(Progress(participation=records), task_of("evaluate")) == {}


def test_norms_are_per_unit_weight_and_local_step():
    task = task_of("train")
    sums = {
        f"{NET}|w": torch.full((3, 2), 10.0 * 6**-0.5),
        f"{NET}|bias": torch.zeros(2),
        f"{NET}|#weight": torch.tensor(10.0, dtype=torch.float64),
        f"{NET}|#loss": torch.tensor(1.0, dtype=torch.float64),
    }
    verdict = Gate(task, Screening(), {"site-01": HELD}).screen(
        "site-01", Update("site-01", sums, 10.0, task=compute_task_id(task))
    )
    assert verdict == (None, {NET: pytest.approx(1 / 3)})


def private_fault(change: float, lesions: int = 10, answered: bool = True) -> str | None:
    """The gate's word on a private sum of which every number is `change`."""
    rule = LocalRule(momentum=0.0, private=PrivateRule(clip=1.0, noise=8.0, sites=4))
    task = task_of("train", rule=rule)
    sums = {f"{NET}|w": torch.full((3, 2), change), f"{NET}|bias": torch.full((2,), change)} if answered else {}
    gate = Gate(task, Screening(), {"site-01": {"training_a": lesions}})
    return gate.screen("site-01", Update("site-01", sums, 0.0, task=compute_task_id(task))).fault


def test_a_private_sum_is_bounded_by_its_patients_and_its_noise() -> None:
    bound = (10 * 1.0 + 8.0 / 2 * (8**0.5 + 7)) / 8**0.5  # of each of eight equal numbers
    assert private_fault(0.0) is None
    assert private_fault(0.99 * bound) is None
    assert "norm at most" in str(private_fault(1.01 * bound))
    assert "norm at most" in str(private_fault(0.99 * bound, lesions=9))
    assert "must be finite" in str(private_fault(float("nan")))
    assert "must be there" in str(private_fault(0.0, answered=False))


def quantised_fault(change: torch.Tensor, weight: float = 10.0, bits: int = 8, step: float = 2.0**-10) -> str | None:
    """The gate's word on eight packed numbers."""
    task = task_of("train", changes=Quantisation(bits))  # type: ignore[arg-type]
    steps = torch.tensor([step, step], dtype=torch.float64)
    task = replace(task, inputs={**task.inputs, f"{NET}|#steps": steps})
    notes = {"#weight": torch.tensor(weight).double(), "#loss": torch.tensor(1.0).double()}
    sums = {**{f"{NET}|{name}": value for name, value in notes.items()}, f"{NET}|change": change}
    gate = Gate(task, Screening(), {"site-01": HELD}, {NET: 1e-3})
    return gate.screen("site-01", Update("site-01", sums, 10.0, task=compute_task_id(task))).fault


def test_packed_changes_are_screened_as_what_they_stand_for() -> None:
    fine = torch.full((8,), 100, dtype=torch.int8)
    assert quantised_fault(fine) is None
    assert "per unit weight must be at most" in str(quantised_fault(fine, step=1.0))
    assert "must be -127 to 127, found -128" in str(quantised_fault(torch.full((8,), -128, dtype=torch.int8)))
    assert "whole number of lesions" in str(quantised_fault(fine, weight=9.5))
    for wrong in (fine[:7], fine.repeat(2), fine.short(), fine.float(), fine.view(2, 4)):
        assert "must be (8,) int8" in str(quantised_fault(wrong))
    assert "must be (12,) uint8" in str(quantised_fault(torch.zeros(11, dtype=torch.uint8), bits=12))
    assert "found -2048" in str(quantised_fault(torch.tensor([0, 0, 128] * 4, dtype=torch.uint8), bits=12))


@pytest.mark.parametrize(
    ("required", "stated", "word"),
    [
        (RequiredSoftware(), "0.2.0", None),
        (RequiredSoftware("0.2.0"), "0.2.0", None),
        (RequiredSoftware("0.2.0"), "0.1.0", "requires fedceus 0.2.0, found 0.1.0"),
        (RequiredSoftware("0.2.0"), None, None),
    ],
)
def test_a_site_of_other_software_than_the_plans_is_excluded_at_hello(required, stated, word):
    task = task_of("hello")
    answer = SITE.answer(task)
    assert isinstance(answer, Update)
    software = Software(stated, "ab" * 32, "3.11.9", "2.9.0", "cd" * 32) if stated else None
    part, gate = PartialRound(), Gate(task, Screening(), software=required)
    part.take("site-01", replace(answer, software=software), Adder(gate, lambda _, update: update.sums))
    fate, reason = part.fates["site-01"]
    assert fate == ("excluded" if word else "counted")
    assert (word or "") in reason
    assert part.software == ({"site-01": software.describe()} if software and not word else {})
