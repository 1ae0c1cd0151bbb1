"""A study whose changes travel in few bits: the same over links, in secure sums, after interruptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from secure_plan import fingerprint
from toy_study import NAMES, make_plan, open_toy_site

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Level, Quantisation, Refusal, Task, Update
from client.worker.audit.log import Audit, entries
from server.rounds.coordinator import StopRequested, run
from server.rounds.events import Event, Finished
from server.rounds.saving.checkpoints import Store
from sim.engine.inline_link import InlineLink
from sim.engine.memory_link import MemoryLink
from tests.support.open_policy import OPEN_LEVELS, open_policy

BITS = (8, 12, 16)


def make_quantised(level: Level, bits: int) -> Plan:
    """Three rounds: the first has 16 bits and no residue."""
    plan = make_plan(level)
    stages = tuple(
        replace(stage, rounds=3, changes=Quantisation(bits), weights="bfloat16") if isinstance(stage, Train) else stage  # type: ignore[arg-type]
        for stage in plan.stages
    )
    return replace(plan, stages=stages)


def study(folder: Path, level: Level, bits: int, **more: Callable[..., object]) -> tuple[Progress, list[Event]]:
    sites = {name: open_toy_site(folder, name, strict=level == "sums") for name in NAMES}
    events: list[Event] = []
    link = InlineLink(NAMES, sites.__getitem__)
    return run(make_quantised(level, bits), link, Store(folder), 5, events.append, **more), events  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, Progress, list[Event]]]:
    folders = {bits: tmp_path_factory.mktemp(f"plain-{bits}") for bits in BITS}
    return {bits: (folder, *study(folder, "none", bits)) for bits, folder in folders.items()}


@pytest.mark.parametrize("bits", BITS)
def test_every_site_is_counted_and_the_nets_learn_in_whole_steps(plain, bits: int) -> None:
    _, progress, events = plain[bits]
    rounds = [event.record for event in events if isinstance(event, Finished) and event.record.kind == "train"]
    assert [len(record.counted) for record in rounds] == [7, 7, 7]
    assert not any(record.excluded or record.refused for record in rounds)
    assert [point.round for point in progress.curves if point.curve == "training"] == [1, 2, 3]


@pytest.mark.parametrize("bits", [8, 12])
def test_a_secure_sum_is_the_plain_sum(plain, tmp_path: Path, bits: int) -> None:
    secure, events = study(tmp_path, "sums", bits)
    assert fingerprint(secure) == fingerprint(plain[bits][1])
    rounds = [event.record for event in events if isinstance(event, Finished) and event.record.kind == "train"]
    assert all(len(record.counted) == 7 for record in rounds)


@pytest.mark.slow
def test_two_workers_give_the_same_study(plain, tmp_path: Path) -> None:
    costs = dict.fromkeys(NAMES, 1.0)
    with MemoryLink(costs, partial(open_toy_site, tmp_path, strict=False), 2) as link:
        found = run(make_quantised("none", 8), link, Store(tmp_path), 5)
    assert fingerprint(found) == fingerprint(plain[8][1])


class _Fallen(Exception):
    """The coordinator dies."""


class _Falling(InlineLink):
    """Falls once, in the middle of a training round: some sites have answered it, and their answers are gone."""

    def __init__(self, *given: object, number: int) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.number, self.asked = number, 0

    def ask(self, task: Task, sites):
        for answer in super().ask(task, sites):
            self.asked += task.kind == "train" and task.round == self.number
            if self.asked == 4:
                raise _Fallen
            yield answer


def test_a_round_asked_again_by_a_new_coordinator_of_restarted_sites_is_the_same(plain, tmp_path: Path) -> None:
    opener = partial(open_toy_site, tmp_path, strict=False)
    with pytest.raises(_Fallen):
        run(make_quantised("none", 8), _Falling(NAMES, opener, number=3), Store(tmp_path), 5)
    found = run(make_quantised("none", 8), InlineLink(NAMES, opener), Store(tmp_path), 5)
    assert fingerprint(found) == fingerprint(plain[8][1])


def test_sites_that_restart_after_every_round_keep_what_they_owe(plain, tmp_path: Path) -> None:
    rounds = 0

    def one_round() -> bool:
        nonlocal rounds
        rounds += 1
        return rounds > 1

    for _ in range(20):
        rounds = 0
        try:
            found, _ = study(tmp_path, "none", 8, stopping=one_round)
            break
        except StopRequested:
            continue
    assert fingerprint(found) == fingerprint(plain[8][1])


def test_residues_are_gone_after_the_study(plain) -> None:
    folder = plain[8][0]
    assert list(folder.glob("site-01/memory/residues/**/*.safetensors")) == []


def test_the_audit_says_how_many_bytes_came_and_left(plain) -> None:
    """The change of 8 bits is a quarter of that in float32, and the weights in bfloat16 are half."""
    folder = plain[8][0]
    lines = list(entries(Audit(folder / "site-01").folder))
    asked = [line for line in lines if line["kind"] == "task" and line["asked"] == "train"]
    left = [line for line in lines if line["kind"] == "answer" and line["asked"] == "train"]
    numbers = left[0]["groups"]["disease/HCC"]["bytes"] - 16, left[1]["groups"]["disease/HCC"]["bytes"] - 16
    assert numbers[0] == 2 * numbers[1]  # 16 bits in the first round
    assert asked[0]["bytes"] > 4 * numbers[1]  # a site compares the first weights with its plan's, in float32
    assert all(line["bytes"] < 2 * numbers[1] + 30_000 for line in asked[1:])
    assert all(float(line["groups"]["disease/HCC"]["norm"]) > 0 for line in left)


def with_steps(task: Task, factor: float) -> Task:
    name = "disease/HCC|#steps"
    return replace(task, inputs={**task.inputs, name: task.inputs[name] * factor})


CRAFTED: list[tuple[Callable[[Task], Task], str]] = [
    (lambda task: replace(task, changes=Quantisation(16)), "the plan's changes"),
    (lambda task: replace(task, changes=None), "the plan's changes"),
    (partial(with_steps, factor=2.0**30), "powers of two"),
    (partial(with_steps, factor=0.7), "powers of two"),
    (lambda task: replace(task, inputs={n: t for n, t in task.inputs.items() if "#" not in n}), "a step in float64"),
    (lambda task: replace(task, inputs={n: t if "#" in n else t.float() for n, t in task.inputs.items()}), "dtype"),
]


def test_a_task_with_other_bits_steps_or_weights_is_refused(plain, tmp_path: Path) -> None:
    bound = open_policy(privacy=replace(OPEN_LEVELS, bound_to_plan=True))
    site = replace(open_toy_site(tmp_path, "site-01", strict=False), policy=bound)
    said: list[Update | Refusal] = []

    class Changing(InlineLink):
        def ask(self, task: Task, sites):
            if task.kind == "train" and task.round == 2:
                said.extend(site.handle(change(task)) for change, _ in CRAFTED)
                raise _Fallen
            return super().ask(task, sites)

    others = {name: open_toy_site(tmp_path, name, strict=False) for name in NAMES[1:]}
    link = Changing(NAMES, lambda name: site if name == "site-01" else others[name])
    with pytest.raises(_Fallen):
        run(make_quantised("none", 8), link, Store(tmp_path), 5)
    for answer, (_, reason) in zip(said, CRAFTED, strict=True):
        assert isinstance(answer, Refusal)
        assert reason in answer.reason
