"""The in-memory link: every site answers once, whoever works, and a dying worker loses nobody it should not."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import State
from ceus_models.protocol.sums import ExactSum
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.runtime.errors import ExpectedError
from server.rounds.round import Adder, AddingLink, Call, Lost, PartialRound, gather_answers
from server.rounds.screening import Gate
from sim.engine.inline_link import InlineLink
from sim.engine.memory_link import MemoryLink

NET = "disease/HCC"
TRAIN = Task(
    "train", "study", 1, "submodels", 0, nets=(NET,), cohorts=("training_a",), inputs={f"{NET}|w": torch.ones(500)},
    rule=LocalRule(),
)  # fmt: skip
TASK = Task("train", "plan", 1, "stage", 1, inputs={"w": torch.arange(5000.0)})
SITES = {f"site-{n:02d}": float(n) for n in range(1, 8)}


@dataclass
class Doubling:
    """Answers with twice the task's weights plus its own number; `trap` is where it kills its process."""

    name: str
    trap: Path | None

    def handle(self, task: Task) -> Update | Refusal:
        if self.name == "site-03":
            return Refusal(self.name, "closed on Mondays", "policy")
        self.spring_trap()
        number = float(self.name[-2:])
        return Update(self.name, {"w": task.inputs["w"] * 2 + number, "who": torch.tensor([os.getpid()])}, number)

    def spring_trap(self) -> None:
        if self.trap and self.name == "site-05":
            once = not self.trap.exists()
            self.trap.write_text("sprung")
            if once or self.trap.name == "always":
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Opener:
    trap: Path | None = None

    def __call__(self, site: str) -> Doubling:
        return Doubling(site, self.trap)


def gather(link: MemoryLink | InlineLink, task: Task = TASK) -> tuple[dict[str, object], ExactSum, set[int]]:
    answers: dict[str, object] = {}
    total, processes = ExactSum(), set()
    for site, answer in link.ask(task, link.sites()):
        assert site not in answers, "a site answers once"
        answers[site] = type(answer).__name__ if not isinstance(answer, Lost) else answer
        if isinstance(answer, Update):
            processes.add(int(answer.sums["who"]))
            total.add({"w": answer.sums["w"]})
    return answers, total, processes


def test_any_number_of_workers_gives_the_same_sum() -> None:
    _, alone, _ = gather(InlineLink(list(SITES), Opener()))
    with MemoryLink(SITES, Opener(), 2) as link:
        answers, shared, processes = gather(link)
        changed = Task("train", "plan", 1, "stage", 2, inputs={"w": torch.ones(9000)})
        _, second, again = gather(link, changed)
    assert answers["site-03"] == "Refusal"
    assert list(answers.values()).count("Update") == 6
    assert os.getpid() not in processes
    assert processes == again, "the workers stay"
    assert torch.equal(alone.value()["w"], shared.value()["w"])
    assert second.value()["w"][-1].item() == 12 + 1 + 2 + 4 + 5 + 6 + 7, "the second task is read anew"


def test_a_worker_that_dies_once_loses_nobody(tmp_path: Path) -> None:
    with MemoryLink(SITES, Opener(tmp_path / "once"), 2) as link:
        answers, _, _ = gather(link)
    assert sorted(answers) == sorted(SITES)
    assert answers["site-05"] == "Update"


def test_a_site_that_kills_its_worker_twice_is_lost_alone(tmp_path: Path) -> None:
    with MemoryLink(SITES, Opener(tmp_path / "always"), 2) as link:
        answers, _, _ = gather(link)
        lost = answers.pop("site-05")
        assert isinstance(lost, Lost)
        assert "died twice" in lost.reason
        assert sorted(answers) == sorted(set(SITES) - {"site-05"})
        assert len(link.sites()) == 7


def test_a_round_that_is_left_early_does_not_answer_in_the_next() -> None:
    with MemoryLink(SITES, Opener(), 2) as link:
        for site, _ in link.ask(TASK, link.sites()):
            assert site
            break
        changed = Task("train", "plan", 1, "stage", 2, inputs={"w": torch.zeros(5000)})
        answers, total, _ = gather(link, changed)
    assert len(answers) == 7
    assert float(total.value()["w"].max()) == 1 + 2 + 4 + 5 + 6 + 7


@dataclass
class Training(Doubling):
    """A site whose answer passes the gate; site-04 wants the frozen nets first, site-06 sends what is not finite."""

    def handle(self, task: Task) -> Update | Refusal:
        if self.name == "site-04" and "frozen|w" not in task.inputs:
            return Refusal(self.name, "no frozen nets", "needs_frozen")
        if self.name == "site-03":
            return Refusal(self.name, "closed on Mondays", "policy")
        self.spring_trap()
        number = torch.nan if self.name == "site-06" else float(self.name[-2:])
        one = torch.ones((), dtype=torch.float64)
        sums = {f"{NET}|w": task.inputs[f"{NET}|w"] * number * 1e-3, f"{NET}|#weight": one, f"{NET}|#loss": one}
        return Update(self.name, sums, 1.0, task=compute_task_id(task))


@dataclass(frozen=True)
class TrainingOpener(Opener):
    def __call__(self, site: str) -> Training:
        return Training(site, self.trap)


def _summand(task: Task, update: Update) -> State:
    assert task.inputs, "a worker adds with the whole task"
    return update.sums


def collect(link: MemoryLink | InlineLink) -> tuple[State, RoundRecord, list[tuple[str, str]]]:
    """A round of training, and what was told of each site."""
    told: list[tuple[str, str]] = []
    gate = Gate(TRAIN, Screening(), {site: {"training_a": 9} for site in SITES}, {}, len(SITES))
    frozen = {"frozen|w": torch.ones(3)}
    call = Call(TRAIN, gate, tuple(SITES), _summand, lambda: frozen, lambda site, fate, _: told.append((site, fate)))
    total, record = gather_answers(link, call)
    return total, record, sorted(told)


def is_same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_add_give_the_round_of_one_process(workers: int) -> None:
    expected, record, told = collect(InlineLink(list(SITES), TrainingOpener()))
    assert sorted(fate for _, fate in told) == [*["counted"] * 5, "excluded", "refused"]
    with MemoryLink(SITES, TrainingOpener(), workers) as link:
        assert isinstance(link, AddingLink)
        for _ in range(2):
            total, own, own_told = collect(link)
            assert is_same(total, expected)
            assert (own, own_told) == (record, told)


def test_what_a_worker_had_added_when_it_dies_is_made_again(tmp_path: Path) -> None:
    expected, record, told = collect(InlineLink(list(SITES), TrainingOpener()))
    costs = {site: float(site != "site-05") for site in SITES}  # the one that kills is asked last
    with MemoryLink(costs, TrainingOpener(tmp_path / "once"), 1) as link:
        total, own, own_told = collect(link)
    assert (tmp_path / "once").exists()
    assert is_same(total, expected)
    assert own == record
    assert own_told == told, "nobody is told twice"


def test_a_worker_that_dies_after_its_last_answer_is_asked_again() -> None:
    expected, record, told = collect(InlineLink(list(SITES), TrainingOpener()))
    with MemoryLink(SITES, TrainingOpener(), 2) as link:
        fetch, killed = link._fetch_total, list[int]()

        def kill_first(worker: Any) -> PartialRound | None:
            if not killed:
                killed.append(worker.process.pid)
                os.kill(worker.process.pid, signal.SIGKILL)
            return fetch(worker)

        link._fetch_total = kill_first  # type: ignore[method-assign]
        total, own, own_told = collect(link)
    assert killed
    assert is_same(total, expected)
    assert (own, own_told) == (record, told)


def test_workers_that_always_die_with_their_sums_end_the_run() -> None:
    with MemoryLink(SITES, TrainingOpener(), 1) as link:

        def kill(worker: Any) -> None:
            os.kill(worker.process.pid, signal.SIGKILL)

        link._fetch_total = kill  # type: ignore[assignment, method-assign]
        with pytest.raises(ExpectedError, match="died 3 times.*fewer with --workers"):
            collect(link)


def test_a_site_that_kills_its_worker_twice_is_lost_and_the_others_are_added_once(tmp_path: Path) -> None:
    _, record, _ = collect(InlineLink(list(SITES), TrainingOpener()))
    expected, _, _ = collect(InlineLink([site for site in SITES if site != "site-05"], TrainingOpener()))
    with MemoryLink(SITES, TrainingOpener(tmp_path / "always"), 2) as link:
        total, own, _ = collect(link)
    assert list(own.lost) == ["site-05"]
    assert set(own.counted) == set(record.counted) - {"site-05"}
    assert is_same(total, expected)


def test_a_round_of_sums_that_is_left_early_leaves_nothing_for_the_next() -> None:
    expected, record, _ = collect(InlineLink(list(SITES), TrainingOpener()))
    with MemoryLink(SITES, TrainingOpener(), 2) as link:
        gate = Gate(TRAIN, Screening(), {site: {"training_a": 9} for site in SITES}, {}, len(SITES))
        parts = link.gather(TRAIN, list(SITES), Adder(gate, _summand))
        next(parts)
        parts.close()  # type: ignore[attr-defined]
        total, own, _ = collect(link)
    assert is_same(total, expected)
    assert own == record


def test_workers_end_with_the_link() -> None:
    with MemoryLink(SITES, Opener(), 1) as link:
        _, _, processes = gather(link)
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_large_nets_give_their_memory_back_between_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.engine.memory_link.LARGE_BYTES", 0)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    _, expected, _ = gather(InlineLink(list(SITES), Opener()))
    with MemoryLink(SITES, Opener(), 1) as link:
        for _ in range(2):  # the second round goes through memory that was given back
            _, total, processes = gather(link)
            assert torch.equal(total.value()["w"], expected.value()["w"])
        told = Path(f"/proc/{processes.pop()}/environ").read_bytes()
    assert b"glibc.malloc.hugetlb=1" in told, "workers take large pages"
    assert "GLIBC_TUNABLES" not in os.environ, "and nobody else"
