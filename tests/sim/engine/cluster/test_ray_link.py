"""The link over nodes, without Ray: one sum a node, the same round however many nodes, and a node that dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from server.rounds.round import Adder, AddingLink, Call, Lost, PartialRound, gather_answers
from server.rounds.screening import Gate
from sim.engine.cluster.ray_link import RayLink
from sim.engine.inline_link import InlineLink
from sim.engine.sites import HospitalOpener
from sim.engine.worker import SiteOpener
from tests.support.clients import SMALL
from tests.support.fake_cluster import FakeCluster
from tests.support.made_sites import made_site

NET = "disease/HCC"
NAMES = tuple(f"site-{n:02d}" for n in range(1, 13))
COSTS = {name: float(number) for number, name in enumerate(NAMES, 1)}
TASK = Task(
    "train", "study", 1, "submodels", 0, nets=(NET,), cohorts=("training_a",), inputs={f"{NET}|w": torch.ones(500)},
    rule=LocalRule(),
)  # fmt: skip


@dataclass
class Numbered:
    """A site that changes the net by a number of its own; site-03 is closed, site-04 lacks the frozen nets."""

    name: str

    def handle(self, task: Task) -> Update | Refusal:
        if self.name == "site-03":
            return Refusal(self.name, "closed on Mondays", "policy")
        if self.name == "site-04" and "frozen|w" not in task.inputs:
            return Refusal(self.name, "no frozen nets", "needs_frozen")
        number = float(self.name[-2:])
        one = torch.ones((), dtype=torch.float64)
        sums = {f"{NET}|w": task.inputs[f"{NET}|w"] * number * 1e-3, f"{NET}|#weight": one, f"{NET}|#loss": one}
        return Update(self.name, sums, 1.0, task=compute_task_id(task))


class AddingInlineLink(InlineLink):
    """The sites answer in this process, and are added there."""

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        part = PartialRound()
        for site, answer in self.ask(task, sites):
            part.take(site, answer, adder)
        yield part


@pytest.fixture(autouse=True)
def _sites_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def link(costs: dict[str, float], opener: SiteOpener, workers: int) -> AddingInlineLink:
        assert workers
        return AddingInlineLink(list(costs), opener)

    monkeypatch.setattr("sim.engine.cluster.site_node.MemoryLink", link)


def _summand(task: Task, update: Update) -> State:
    return update.sums


def _gather(link: InlineLink | RayLink) -> tuple[State, object, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    gate = Gate(TASK, Screening(), {site: {"training_a": 9} for site in NAMES}, {}, len(NAMES))
    call = Call(
        TASK,
        gate,
        NAMES,
        _summand,
        lambda: {"frozen|w": torch.ones(3)},
        lambda site, fate, _: told.append((site, fate)),
    )
    total, record = gather_answers(link, call)
    return total, record, sorted(told)


@pytest.mark.parametrize("nodes", [{"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1, "c": 3}])
def test_any_nodes_give_the_round_of_one_process(nodes: dict[str, int]) -> None:
    expected, record, told = _gather(InlineLink(NAMES, Numbered))
    cluster = FakeCluster(nodes)
    with RayLink(COSTS, Numbered, cluster) as link:
        assert isinstance(link, AddingLink)
        total, own_record, own_told = _gather(link)
    assert cluster.closed
    assert (own_record, own_told) == (record, told)
    assert total.keys() == expected.keys()
    assert all(torch.equal(total[name], expected[name]) for name in expected)


def test_what_nodes_send_does_not_grow_with_their_sites() -> None:
    sent = []
    for count in (4, 12):
        cluster = FakeCluster({"a": 1, "b": 1})
        with RayLink(dict.fromkeys(NAMES[4 : 4 + count], 1.0), Numbered, cluster) as link:
            _gather(link)
        sent.append(cluster.sent)
    one_sum = 500 * 8
    assert sent[1] - sent[0] < one_sum


def test_sites_of_a_node_that_dies_are_asked_elsewhere_in_the_same_round() -> None:
    expected, record, told = _gather(InlineLink(NAMES, Numbered))
    cluster, notes = FakeCluster({"a": 1, "b": 1, "c": 1}, dies={"b": "gather"}), list[str]()
    with RayLink(COSTS, Numbered, cluster, notes.append) as link:
        total, own_record, own_told = _gather(link)
        again, _, _ = _gather(link)
    assert (own_record, own_told) == (record, told), "nobody is lost"
    assert all(torch.equal(total[name], expected[name]) for name in expected)
    assert all(torch.equal(again[name], expected[name]) for name in expected)
    assert cluster.calls["b", "gather"] == 1
    assert len(notes) == 1
    assert "b was unplugged" in notes[0]


def test_a_run_without_nodes_says_how_to_go_on() -> None:
    cluster = FakeCluster({"a": 1}, dies={"a": "gather"})
    stopped = pytest.raises(ExpectedError, match="expected a node that lives.*continues from the last saved round")
    with RayLink(COSTS, Numbered, cluster) as link, stopped:
        _gather(link)


def test_single_answers_are_asked_for_where_only_the_coordinator_can_open_their_sum() -> None:
    cluster = FakeCluster({"a": 1, "b": 1}, dies={"b": "ask"})
    with RayLink(COSTS, Numbered, cluster) as link:
        answers = dict(link.ask(TASK, link.sites()))
    assert sorted(answers) == list(NAMES)
    assert not any(isinstance(answer, Lost) for answer in answers.values())
    update = answers["site-12"]
    assert isinstance(update, Update)
    assert float(update.sums[f"{NET}|w"][0]) == pytest.approx(0.012)
    assert cluster.calls["a", "ask"] > 2, "a node holds a few answers at a time"


def test_a_node_with_other_versions_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.engine.cluster.ray_link.list_versions", lambda: {"fedceus": "9"})
    cluster = FakeCluster({"a": 1})
    with pytest.raises(ExpectedError, match="install the same there"):
        RayLink(COSTS, Numbered, cluster)
    assert cluster.closed


def test_hospitals_are_sent_once_to_a_node_that_does_not_see_them(tmp_path: Path) -> None:
    opener = HospitalOpener(_make_hospitals(tmp_path / "hospitals", SMALL), SMALL)
    hello = Task("hello", "study", 1, "hello", 0, processing=SMALL.digest(), cohorts=("training_a",))
    answers: list[Callable[[], dict[str, object]]] = []
    notes: list[str] = []
    for sees in (True, False):
        cluster = FakeCluster({"a": 1, "b": 1}, sees_folders=sees)
        with RayLink(dict.fromkeys(opener.folders, 1.0), opener, cluster, notes.append) as link:
            found = [dict(link.ask(hello, link.sites())) for _ in range(2)]
        answers.append({site: type(answer).__name__ for site, answer in found[1].items()})  # type: ignore[arg-type]
        assert sum(count for (_, method), count in cluster.calls.items() if method == "receive") == (0 if sees else 2)
    assert answers[0] == answers[1] == {"site-01": "Update", "site-02": "Update"}
    assert len(notes) == 2
    assert all("hospitals are sent" in note for note in notes)
    assert sorted(path.name for path in (tmp_path / "hospitals").iterdir()) == ["site-01", "site-02"], "no mark is left"


def _make_hospitals(folder: Path, processing: Processing) -> dict[str, Path]:
    names = ("site-01", "site-02")
    return {name: made_site(folder / name, int(name[-2:]), {"training_a": 2}, processing) for name in names}
