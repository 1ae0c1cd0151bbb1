"""One round: send the task, screen every answer as it arrives, add it to the total, and record the outcome.

A link may also screen and add the answers where they are made, and send the coordinator partial rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from ceus_models.plan.terms.participation import Fate, RoundRecord
from ceus_models.protocol.encoding import count_bytes
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
Summand = Callable[[Task, Update], State]
"""What an answer to a task adds to a round's total."""


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
    summand: Summand
    frozen: Callable[[], State]
    tell: Callable[[str, Fate, str], None]
    roster: str = ""


@dataclass(frozen=True, eq=False)
class Adder:
    """How an answer is screened, and what it adds to the round's total. Picklable."""

    gate: Gate
    summand: Summand


@dataclass(eq=False)
class PartialRound:
    """What some sites of a round gave. Answers are added at once: two are never in memory together.

    Sums are whole numbers, so parts merge in any order and grouping with the same result. Picklable.

    Args:
        total: sum of the counted answers.
        fates: outcome of each site, with the reason.
        norms: of the counted changes, by net.
        without_frozen: sites that lack the frozen sub-models and have no outcome yet.
        received: bytes of all answers, as they are encoded.
        software: of the sites that stated it, in hello.
    """

    total: ExactSum = field(default_factory=ExactSum)
    fates: dict[str, tuple[Fate, str]] = field(default_factory=dict)
    norms: dict[str, list[float]] = field(default_factory=dict)
    without_frozen: set[str] = field(default_factory=set)
    received: int = 0
    software: dict[str, str] = field(default_factory=dict)

    def take(self, site: str, answer: Answer, adder: Adder) -> None:
        """Screen an answer and add it. Only the first answer of a site counts."""
        if site in self.fates or site in self.without_frozen:
            return
        self.received += 0 if isinstance(answer, Lost) else count_bytes(answer)
        if isinstance(answer, Refusal) and answer.code == "needs_frozen":
            self.without_frozen.add(site)
            return
        self.fates[site] = (
            self._count_answer(site, answer, adder) if isinstance(answer, Update) else _classify_failure(answer)
        )

    def merge(self, part: PartialRound) -> None:
        """Add a part of other sites."""
        self.total.merge(part.total)
        self.fates |= part.fates
        for net, sizes in part.norms.items():
            self.norms.setdefault(net, []).extend(sizes)
        self.without_frozen |= part.without_frozen
        self.received += part.received
        self.software |= part.software

    def drop_outcomes(self) -> PartialRound:
        """The same without the outcomes of its sites, for a link that gave them one by one."""
        return replace(self, fates={}, without_frozen=set())

    def _count_answer(self, site: str, answer: Update, adder: Adder) -> tuple[Fate, str]:
        fault, norms = adder.gate.screen(site, answer)
        if fault:
            return "excluded", fault
        if answer.software and adder.gate.task.kind == "hello":
            self.software[site] = answer.software.describe()
        if not answer.sums:
            return "idle", ""
        for net, size in norms.items():
            self.norms.setdefault(net, []).append(size)
        self.total.add(adder.summand(adder.gate.task, answer))
        return "counted", ""


@runtime_checkable
class AddingLink(Link, Protocol):
    """A link that screens and adds answers where they are made, so that single answers need not travel."""

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        """Yield what the sites gave, in parts of any size. A site is in one part at most, in none if it is lost."""


def _classify_failure(answer: Refusal | Lost) -> tuple[Fate, str]:
    if isinstance(answer, Lost):
        return "lost", answer.reason
    return ("idle", "") if answer.code == "no_lesions" else ("refused", answer.reason)


def gather_answers(link: Link, call: Call) -> tuple[State, RoundRecord]:
    """Collect the answers of one round: their sum (floats in float64) and the record of the round.

    A site that lacks the frozen sub-models gets the task once more in the same round, with them included.
    """
    registered = tuple(sorted(link.sites()))
    connected, taken = set(registered), PartialRound()
    _lose(taken, call, [site for site in call.sites if site not in connected], "not connected")
    present = [site for site in call.sites if site in connected]
    sent = count_bytes(call.task) * len(present)
    _collect_answers(link, call, call.task, present, taken)
    again, taken.without_frozen = sorted(taken.without_frozen), set()
    if again:
        whole = replace(call.task, inputs={**call.frozen(), **call.task.inputs})
        sent += count_bytes(whole) * len(again)
        _collect_answers(link, call, whole, again, taken)
        for site in sorted(taken.without_frozen):
            taken.fates[site] = "refused", "it lacks the frozen sub-models, which the task brought"
            call.tell(site, *taken.fates[site])
    _lose(taken, call, [site for site in call.sites if site not in taken.fates], "gave no answer")
    norms = {net: statistics.median(sizes) for net, sizes in sorted(taken.norms.items())}
    record = build_record(call, taken.fates, registered, norms)
    record = replace(record, sent=sent, received=taken.received, software=taken.software)
    return taken.total.take_float64(), record


def _lose(taken: PartialRound, call: Call, sites: Sequence[str], reason: str) -> None:
    for site in sites:
        taken.fates[site] = "lost", reason
        call.tell(site, "lost", reason)


def _collect_answers(link: Link, call: Call, task: Task, sites: Sequence[str], taken: PartialRound) -> None:
    """Add what the sites answer, and report each outcome."""
    adder = Adder(call.gate, call.summand)
    if not sites:
        return
    if isinstance(link, AddingLink):
        for part in link.gather(task, sites, adder):
            taken.merge(part)
            for site, fate in part.fates.items():
                call.tell(site, *fate)
        return
    asked = set(sites)
    for site, answer in link.ask(task, sites):
        if site in asked:
            asked.remove(site)
            taken.take(site, answer, adder)
            if site in taken.fates:
                call.tell(site, *taken.fates[site])


def build_record(
    call: Call, fates: Mapping[str, tuple[Fate, str]], registered: tuple[str, ...], norms: Mapping[str, float]
) -> RoundRecord:
    """The record of a round. fates: of every site that was asked, with the reason."""
    task, asked = call.task, tuple(sorted(call.sites))

    def named(fate: Fate) -> tuple[str, ...]:
        return tuple(site for site in asked if site in fates and fates[site][0] == fate)

    def reasons(fate: Fate) -> dict[str, str]:
        return {site: fates[site][1] for site in named(fate)}

    return RoundRecord(
        stage=task.stage,
        kind=task.kind,
        round=task.round,
        registered=registered,
        asked=asked,
        answered=tuple(site for site in asked if site in fates and fates[site][0] != "lost"),
        counted=named("counted"),
        idle=named("idle"),
        refused=reasons("refused"),
        excluded=reasons("excluded"),
        lost=reasons("lost"),
        norms=norms,
    )
