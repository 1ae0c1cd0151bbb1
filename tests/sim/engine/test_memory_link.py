"""The in-memory link: every site answers once, whoever works, and a dying worker loses nobody it should not."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.sums import ExactSum
from server.rounds.round import Lost
from sim.engine.memory_link import InlineLink, MemoryLink

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
        if self.trap and self.name == "site-05":
            once = not self.trap.exists()
            self.trap.write_text("sprung")
            if once or self.trap.name == "always":
                os.kill(os.getpid(), signal.SIGKILL)
        number = float(self.name[-2:])
        return Update(self.name, {"w": task.inputs["w"] * 2 + number, "who": torch.tensor([os.getpid()])}, number)


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
