"""A whole study whose sub-models share a trunk, at sites that are bound to its plan, from hello to the bundle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_lesions import TINY, lesions

from ceus_models.bundle.model_bundle import Bundle, load_bundle, save_bundle
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.given_recipe import Given
from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.participation import Quorum
from ceus_models.plan.train_stage import Train, Validation
from ceus_models.protocol.messages import LocalRule, PrivateRule, Refusal, Task, Update
from ceus_models.protocol.privacy.accountant import compose, compute_epsilon
from ceus_models.protocol.state import digest
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import CLINICAL, FUSION_NETS, STRATEGY_A, STRATEGY_B, SUBMODELS, TRUNK
from client.worker.site.site import Site
from server.report.figures.training import curve_figure, curve_groups
from server.report.publish import build_bundle
from server.results.results import collect_results
from server.rounds.coordinator import run
from server.rounds.saving.checkpoints import Store
from sim.engine.inline_link import InlineLink
from sim.engine.memory_link import MemoryLink
from tests.support.open_policy import OPEN_LEVELS, open_policy

RULE = LocalRule(batch_size=4, learning_rate=0.02)
COHORTS = ("training_a", "validation", "training_b", "internal_test")
PLAN = Plan(
    "shared",
    (
        Hello("hello"),
        Statistics("statistics", min_correlation=0.01),
        Train("train", "submodels", ("submodels",), COHORTS[:1], 2, rule=RULE, validate=Validation(every=1)),
        Train("train", "strategy_a", (STRATEGY_A,), COHORTS[:1], 1, rule=RULE),
        Train("train", "fusion", ("fusion",), ("training_b",), 2, rule=RULE),
        Evaluate("evaluate", "modules", ("submodels", STRATEGY_A), ("validation",), 0),
        Evaluate("evaluate", "test", ("fusion",), ("internal_test",), 0),
    ),
    quorum=Quorum(stages={"test": 1}),  # of the study's centers one alone has that cohort
    architecture=TINY,
    fusion_hidden=8,
    sharing="trunk",
)
SITES = ("site-01", "site-02", "site-03")


def held(site: str) -> list[Sample]:
    first = 1000 * SITES.index(site)
    return [plausible(s) for place, c in enumerate(COHORTS) for s in lesions(8, c, first + 100 * place)]


def plausible(sample: Sample) -> Sample:
    """The lesion with clinical values that people have."""
    ends = [[variable.apply_transform(end) for end in (variable.low, variable.high)] for variable in CLINICAL]
    drawn = np.random.default_rng(int(sample.key, 16)).uniform(*np.array(ends).T)
    return dataclasses.replace(sample, clinical=drawn.astype(np.float32))


PRIVATE = Plan(
    "private",
    (
        Hello("hello"),
        Train(
            "train",
            "submodels",
            ("submodels",),
            COHORTS[:1],
            2,
            rule=LocalRule(momentum=0.0, trains="heads", private=PrivateRule(clip=1.0, noise=20.0)),
            level="local",
        ),
    ),
    given=Given(("AFP",)),
    architecture=TINY,
    fusion_hidden=0,
    sharing="trunk",
)


@dataclass(frozen=True)
class Opener:
    """Sites that answer nothing but the plan. Picklable."""

    folder: Path

    def __call__(self, site: str) -> Site:
        policy = open_policy(privacy=dataclasses.replace(OPEN_LEVELS, bound_to_plan=True))
        return Site(site, held(site), PLAN.processing.digest(), policy, self.folder / site)


class Noted(InlineLink):
    """The tasks and answers that pass."""

    def __init__(self, folder: Path) -> None:
        super().__init__(SITES, Opener(folder))
        self.seen: list[tuple[Task, Update | Refusal]] = []

    def ask(self, task: Task, sites: Sequence[str]):  # type: ignore[no-untyped-def]
        for site, answer in super().ask(task, sites):
            self.seen.append((task, answer))
            yield site, answer


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Progress, Noted]:
    folder = tmp_path_factory.mktemp("inline")
    link = Noted(folder / "sites")
    return run(PLAN, link, Store(folder), 7), link


def digests(progress: Progress) -> dict[str, str]:
    return {net: digest(state) for net, state in progress.nets.items()}


def test_one_net_travels_in_place_of_nine(study: tuple[Progress, Noted]) -> None:
    progress, link = study
    assert set(progress.nets) == {TRUNK, STRATEGY_A, *FUSION_NETS}
    assert not [answer for _, answer in link.seen if isinstance(answer, Refusal) and answer.code != "needs_frozen"]
    for task, answer in link.seen:
        if task.stage == "submodels":
            assert {name.partition("|")[0] for name in task.inputs} == {TRUNK}
            assert task.nets == ((TRUNK,) if task.kind == "train" else SUBMODELS)
        if task.stage == "submodels" and task.kind == "train" and isinstance(answer, Update):
            assert answer.sums[f"{TRUNK}|#loss"].shape == answer.sums[f"{TRUNK}|#labelled"].shape == (9,)
            assert float(answer.sums[f"{TRUNK}|#weight"]) == 8


def test_every_worker_and_link_gives_the_same_digests(study: tuple[Progress, Noted], tmp_path: Path) -> None:
    with MemoryLink(dict.fromkeys(SITES, 1.0), Opener(tmp_path / "sites"), 1) as link:
        assert digests(run(PLAN, link, Store(tmp_path), 7)) == digests(study[0])


def test_nine_outputs_and_strategy_b_are_evaluated_as_the_bundle_predicts(
    study: tuple[Progress, Noted], tmp_path: Path
) -> None:
    progress, _ = study
    results = collect_results(progress, PLAN, 7)
    save_bundle(build_bundle(progress, PLAN, 7, results), tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert "a trunk with a head for each" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    cases = {c: [s for site in SITES for s in held(site) if s.cohort == c] for c in COHORTS}
    for output in SUBMODELS:
        counted = results["nets"].get(output, {}).get("validation", {"confusion": [[0, 0], [0, 0]]})
        assert counted["confusion"] == confusion(bundle, output, cases["validation"])
    assert set(results["nets"]) == {*SUBMODELS, STRATEGY_A, STRATEGY_B} - {"biomarker/CK7"}  # nobody was tested for it
    five = bundle.predict_submodels(cases["validation"])[:, :5].argmax(1)
    known = [find_target(STRATEGY_A, s) for s in cases["validation"]]
    right = np.mean([t == p for t, p in zip(known, five, strict=True) if t is not None])
    assert results["nets"][STRATEGY_B]["validation"]["accuracy"]["value"] == pytest.approx(right)
    fused = bundle.predict(cases["internal_test"], "fusion/DCB").argmax(1)
    found = results["cohorts"]["internal_test"]["models"]["DCB"]["confusion"]
    assert np.array(found).sum(0).tolist() == np.bincount(fused, minlength=6).tolist()


def confusion(bundle: Bundle, output: str, cases: Sequence[Sample]) -> list[list[int]]:
    table = np.zeros((2, 2), int)
    for sample in cases:
        target = find_target(output, sample)
        if target is not None:
            table[target, int(bundle.predict([sample], output)[0, 0] >= 0.5)] += 1
    return table.tolist()


def test_the_best_round_is_that_of_all_heads_together(study: tuple[Progress, Noted]) -> None:
    progress, _ = study
    curves = collect_results(progress, PLAN, 7)["curves"]["submodels"]
    assert set(curves) >= {TRUNK, "disease/HCC", "biomarker/Hep"}
    heads = [curve["validation_loss"] for net, curve in curves.items() if net != TRUNK and "validation_loss" in curve]
    assert curves[TRUNK]["validation_loss"] == pytest.approx(np.mean(heads, axis=0))
    best = int(np.argmin(curves[TRUNK]["validation_loss"])) + 1
    assert {curve["best_round"] for curve in curves.values()} == {best}
    results = json.loads(json.dumps({"curves": {"submodels": curves}}))
    groups = curve_groups(results)
    assert ("submodels", TRUNK) in groups
    assert all(curve_figure(results, *group) for group in groups)


def test_private_heads_of_a_trunk_are_charged_as_one_net(tmp_path: Path) -> None:
    link = Noted(tmp_path / "sites")
    progress = run(PRIVATE, link, Store(tmp_path), 7)
    start = build_initial_state(TRUNK, PRIVATE.study(7).recipe, 7)
    moved = {name for name, tensor in progress.nets[TRUNK].items() if not torch.equal(tensor, start[name])}
    assert {name.partition(".")[0] for name in moved} == {"spatial_head", "temporal_head", "weighting"}
    answers = [(t, a) for t, a in link.seen if t.kind == "train" and isinstance(a, Update)]
    assert len(answers) == 6
    assert all(name.startswith("trunk|") and "#" not in name for _, a in answers for name in a.sums)
    spent = compute_epsilon(compose([20.0, 20.0]), 1e-5)
    assert [a.spent for t, a in answers if t.round == 2] == pytest.approx([spent] * 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: dataclasses.replace(t, recipe=dataclasses.replace(t.recipe, sharing="separate")), "sharing"),
        (lambda t: dataclasses.replace(t, nets=SUBMODELS), "plan's nets"),
        (
            lambda t: dataclasses.replace(t, inputs={n: x + 0.01 for n, x in t.inputs.items()}),
            "initial weights of trunk",
        ),
        (
            lambda t: dataclasses.replace(t, inputs={**t.inputs, "disease/HCC|weighting.bias": torch.ones(1)}),
            "tensors of the task's nets",
        ),
        (
            lambda t: dataclasses.replace(t, inputs={**t.inputs, "trunk|weighting.bias": torch.ones(5)}),
            "tensors of trunk",
        ),
    ],
)
def test_a_site_answers_no_other_task_than_the_plans(study, change, told: str, tmp_path: Path) -> None:
    here = Opener(tmp_path)("site-01")
    hello, first = (next(t for t, _ in study[1].seen if t.stage == stage) for stage in ("hello", "submodels"))
    assert isinstance(here.handle(hello), Update)
    answer = here.handle(change(first))
    assert isinstance(answer, Refusal)
    assert (answer.code, told in answer.reason) == ("plan", True), answer.reason
    assert isinstance(here.handle(first), Update)
