"""One round: send the task, screen every answer as it arrives, add it to the total, and record the outcome."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ceus_models.plan.terms.participation import Fate, RoundRecord
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.state import State
from ceus_models.protocol.sums import ExactSum
from server.rounds.screening import Gate


@dataclass(frozen=True)
class Lost:
    """A site that gave no answer, and the reason."""

    site: str
    reason: str


Answer = Update | Refusal | Lost


class Link(Protocol):
    """The transport of tasks and answers: in memory, or through Flower."""

    def sites(self) -> Sequence[str]:
        """The sites that are connected now."""

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """Yield every site's answer as it arrives, at most one per site."""


@dataclass(frozen=True, eq=False)
class Call:
    """The request of one round: the task, its sites, and how to process their answers.

    Args:
        frozen: returns the frozen sub-models; called only if a site lacks them.
        roster: text of the federation's roster, in the messages of a secure sum.
        tell: called after every answer with the site, its outcome and the reason, in order of arrival.
    """

    task: Task
    gate: Gate
    sites: tuple[str, ...]
    summand: Callable[[Update], State]
    frozen: Callable[[], State]
    tell: Callable[[str, Fate, str], None]
    roster: str = ""


@dataclass
class _Round:
    """The answers so far. Each is added to the total at once: two answers are never in memory together."""

    call: Call
    total: ExactSum = field(default_factory=ExactSum)
    fates: dict[str, tuple[Fate, str]] = field(default_factory=dict)
    norms: dict[str, list[float]] = field(default_factory=dict)
    without_frozen: list[str] = field(default_factory=list)

    def take(self, site: str, answer: Answer) -> None:
        if site not in self.call.sites or site in self.fates:
            return  # only the first answer of a site counts
        self.settle(
            site, *(self._count_answer(site, answer) if isinstance(answer, Update) else _classify_failure(answer))
        )

    def settle(self, site: str, fate: Fate, reason: str = "") -> None:
        self.fates[site] = (fate, reason)
        self.call.tell(site, fate, reason)

    def _count_answer(self, site: str, answer: Update) -> tuple[Fate, str]:
        fault, norms = self.call.gate.screen(site, answer)
        if fault:
            return "excluded", fault
        if not answer.sums:
            return "idle", ""
        for net, size in norms.items():
            self.norms.setdefault(net, []).append(size)
        self.total.add(self.call.summand(answer))
        return "counted", ""


def _classify_failure(answer: Refusal | Lost) -> tuple[Fate, str]:
    if isinstance(answer, Lost):
        return "lost", answer.reason
    return ("idle", "") if answer.code == "no_lesions" else ("refused", answer.reason)


def gather_answers(link: Link, call: Call) -> tuple[State, RoundRecord]:
    """Collect the answers of one round: their sum (floats in float64) and the record of the round.

    A site that lacks the frozen sub-models gets the task once more in the same round, with them included.
    """
    registered = tuple(sorted(link.sites()))
    taken = _Round(call)
    for site in call.sites:
        if site not in registered:
            taken.settle(site, "lost", "not connected")
    _collect_answers(link, call.task, [site for site in call.sites if site in registered], taken)
    again = sorted(taken.without_frozen)
    if again:
        inputs = {**call.frozen(), **call.task.inputs}
        _collect_answers(link, replace(call.task, inputs=inputs), again, taken, last=True)
    for site in call.sites:
        if site not in taken.fates:
            taken.settle(site, "lost", "gave no answer")
    norms = {net: statistics.median(sizes) for net, sizes in sorted(taken.norms.items())}
    return taken.total.take_float64(), build_record(call, taken.fates, registered, norms)


def _collect_answers(link: Link, task: Task, sites: Sequence[str], taken: _Round, last: bool = False) -> None:
    if not sites:
        return
    for site, answer in link.ask(task, sites):
        lacks = isinstance(answer, Refusal) and answer.code == "needs_frozen" and site in sites
        if lacks and not last and site not in taken.without_frozen:
            taken.without_frozen.append(site)
        else:
            taken.take(site, answer)


def build_record(
    call: Call, fates: Mapping[str, tuple[Fate, str]], registered: tuple[str, ...], norms: Mapping[str, float]
) -> RoundRecord:
    """The record of a round. fates: of every site that was asked, with the reason."""
    task = call.task

    def named(fate: Fate) -> tuple[str, ...]:
        return tuple(sorted(site for site, (what, _) in fates.items() if what == fate))

    def reasons(fate: Fate) -> dict[str, str]:
        return {site: fates[site][1] for site in named(fate)}

    return RoundRecord(
        stage=task.stage,
        kind=task.kind,
        round=task.round,
        registered=registered,
        asked=tuple(sorted(call.sites)),
        answered=tuple(sorted(site for site, (what, _) in fates.items() if what != "lost")),
        counted=named("counted"),
        idle=named("idle"),
        refused=reasons("refused"),
        excluded=reasons("excluded"),
        lost=reasons("lost"),
        norms=norms,
    )
