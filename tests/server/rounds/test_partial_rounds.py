"""Answers that a link screens and adds itself give the same round as answers that the coordinator adds."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pytest
import torch

from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import State
from ceus_models.protocol.sums import ExactSum
from ceus_models.protocol.task_id import compute_task_id
from server.rounds.round import Adder, AddingLink, Answer, Call, Lost, PartialRound, gather_answers
from server.rounds.screening import Gate

NAMES = tuple(f"s{n}" for n in range(7))
NET = "disease/HCC"
TASK = Task(
    "train", "study", 1, "submodels", 0, nets=(NET,), cohorts=("training_a",), inputs={f"{NET}|w": torch.ones(5)},
    rule=LocalRule(),
)  # fmt: skip


def _summand(task: Task, update: Update) -> State:
    return update.sums


def _answer(site: str) -> Answer:
    """s0 to s3 train, s4 sends NaN, s5 refuses, s6 is lost."""
    number = int(site[1:])
    if number == 6:
        return Lost(site, "no route")
    if number == 5:
        return Refusal(site, "not today", "policy")
    change = (
        torch.full((5,), torch.nan) if number == 4 else torch.randn(5, generator=torch.Generator().manual_seed(number))
    )
    sums = {f"{NET}|w": change * 0.01}
    notes = {f"{NET}|#{name}": torch.tensor(2.0, dtype=torch.float64) for name in ("weight", "loss")}
    return Update(site, sums | notes, 2.0, task=compute_task_id(TASK))


class _Asked:
    """A link whose answers the coordinator adds."""

    def sites(self) -> Sequence[str]:
        return NAMES

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        yield from ((site, _answer(site)) for site in sites)


@dataclass
class _Added(_Asked):
    """A link of nodes, each of which adds the answers of its sites; a part is sent as bytes."""

    nodes: int

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        for number in range(self.nodes):
            part, rule = PartialRound(), pickle.loads(pickle.dumps(adder))
            for site in sites[number :: self.nodes]:
                part.take(site, _answer(site), rule)
            yield pickle.loads(pickle.dumps(part))


def _gather(link: _Asked) -> tuple[State, object, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    gate = Gate(TASK, Screening(), {site: {"training_a": 9} for site in NAMES}, {}, len(NAMES))
    call = Call(TASK, gate, NAMES, _summand, dict, lambda site, fate, reason: told.append((site, fate)))
    total, record = gather_answers(link, call)
    return total, record, sorted(told)


@pytest.mark.parametrize("nodes", [1, 2, 3, 7])
def test_parts_of_any_grouping_give_the_same_round(nodes: int) -> None:
    link = _Added(nodes)
    assert isinstance(link, AddingLink)
    assert not isinstance(_Asked(), AddingLink)
    total, record, told = _gather(link)
    expected, known, heard = _gather(_Asked())
    assert record == known
    assert told == heard
    assert total.keys() == expected.keys()
    assert all(torch.equal(total[name], expected[name]) for name in total)
    assert dict(told) == {
        **dict.fromkeys(NAMES[:4], "counted"), "s4": "excluded", "s5": "refused", "s6": "lost",
    }  # fmt: skip


def test_a_site_in_no_part_is_lost() -> None:
    class Forgetful(_Added):
        def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
            yield from super().gather(task, sites[1:], adder)

    _, _, told = _gather(Forgetful(2))
    assert ("s0", "lost") in told


@pytest.mark.parametrize("frozen_helps", [True, False])
def test_sites_without_the_frozen_submodels_are_asked_again(frozen_helps: bool) -> None:
    class Lacking(_Asked):
        def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
            helped = "sent" in task.inputs and frozen_helps
            for site in sites:
                yield site, _answer(site) if helped or site != "s1" else Refusal(site, "lacks them", "needs_frozen")

    told: list[tuple[str, str]] = []
    gate = Gate(TASK, Screening(), {site: {"training_a": 9} for site in NAMES}, {}, len(NAMES))
    frozen = partial(dict, sent=torch.ones(1))
    _, record = gather_answers(
        Lacking(), Call(TASK, gate, NAMES, _summand, frozen, lambda *what: told.append(what[:2]))
    )
    assert ("s1" in record.counted) == frozen_helps
    assert [fate for site, fate in told if site == "s1"] == ["counted" if frozen_helps else "refused"]


def test_merged_sums_are_those_of_one_sum_and_differ_in_no_shape() -> None:
    whole, left, right = ExactSum(), ExactSum(), ExactSum()
    for number, part in enumerate((left, right, left, right)):
        state = {"a|w": torch.full((3,), 0.1 * number), "a|v": torch.full((2,), 0.7), "n": torch.tensor(number)}
        whole.add(state)
        part.add(state)
    left.merge(right)
    left.add({"a|w": torch.zeros(3), "a|v": torch.zeros(2)})
    found, expected = left.value(), whole.value()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    other = ExactSum()
    other.add({"n": torch.tensor([1, 2])})
    with pytest.raises(ValueError, match="n: expected"):
        left.merge(other)
