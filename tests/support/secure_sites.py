"""Fake sites that answer in secure sums, by the site's own half of it, and a link on which they can be lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.privacy.secure_session import SUMS_KEY, make_bytes_tensor
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id
from client.policy.policy import TaskDeclined
from client.worker.privacy.openings import OpeningLog
from client.worker.privacy.sessions import SumRules, SumSessions
from server.rounds.round import Answer, Lost
from tests.support.fake_sites import FakeSite, lesions_of


@dataclass
class SecureSite:
    """A fake site with its sessions; `restart` forgets what a process forgets."""

    plain: FakeSite
    records: Path
    rules: SumRules = field(default_factory=SumRules)
    spoil: Callable[[Task, State], State] = lambda task, sums: sums
    sessions: SumSessions = field(init=False)
    masked: list[tuple[str, State]] = field(default_factory=list)
    """Session and masked sums of every masked answer."""

    def __post_init__(self) -> None:
        self.restart()

    @property
    def name(self) -> str:
        return self.plain.name

    def restart(self) -> None:
        self.sessions = SumSessions(self.name, self.records, OpeningLog(self.records))

    def answer(self, task: Task) -> Update | Refusal:
        try:
            return self._answer(task)
        except TaskDeclined as no:
            return Refusal(self.name, no.reason, no.code)

    def _answer(self, task: Task) -> Update | Refusal:
        if task.kind in ("offer", "unmask"):
            work = self.sessions.offer if task.kind == "offer" else self.sessions.unmask
            return Update(self.name, work(task, self.rules), 0.0, task=compute_task_id(task))
        if task.session is None:
            answer = self.plain.answer(task)
            if SUMS_KEY in task.inputs and isinstance(answer, Update):
                key = make_bytes_tensor(self.sessions.key.public, 32)
                return replace(answer, sums={**answer.sums, SUMS_KEY: key})
            return answer
        received = ReceivedTask(task)
        self.sessions.check(received)
        answer = self.plain.answer(task)
        if isinstance(answer, Refusal) and answer.code != "no_lesions":
            return answer
        sums = answer.sums if isinstance(answer, Update) else {}
        masked, _ = self.sessions.mask(received, self.spoil(task, sums))
        self.masked.append((task.session.id, masked))
        return Update(self.name, masked, 0.0, task=compute_task_id(task))


Moment = Callable[[Task], bool]


def at(kind: str) -> Moment:
    """When a task of this kind is asked: "offer", "masked", "confirm" or "open"."""

    def is_now(task: Task) -> bool:
        if task.kind == "unmask":
            return kind == ("open" if "#tags" in task.inputs else "confirm")
        return task.kind == kind or (kind == "masked" and task.session is not None and task.kind != "offer")

    return is_now


@dataclass
class SecureLink:
    """A link that carries real bytes, all answers through the same memory, as the link of a simulation does.

    lost: site → when it is away · after: site → when it is lost once it has answered · interrupt: called before each
    message is sent.
    """

    members: Sequence[SecureSite]
    lost: Mapping[str, Moment] = field(default_factory=dict)
    interrupt: Callable[[Task], None] = lambda task: None
    asked: list[Task] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    memory: bytearray = field(default_factory=lambda: bytearray(16 << 20), repr=False)

    def sites(self) -> list[str]:
        return [site.name for site in self.members]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        self.asked.append(task)
        self.interrupt(task)
        for site in [one for one in self.members if one.name in sites]:
            if site.name in self.gone or (site.name in self.lost and self.lost[site.name](task)):
                self.gone.add(site.name)
                yield site.name, Lost(site.name, "went away")
                continue
            sent = decode(to_bytes(task))
            assert isinstance(sent, Task)
            data = to_bytes(site.answer(sent))
            self.memory[: len(data)] = data
            answer = decode(memoryview(self.memory)[: len(data)])
            assert not isinstance(answer, Task)
            yield site.name, answer


def secure_sites(folder: Path, count: int, held: Mapping[str, int] | None = None) -> list[SecureSite]:
    """Fake sites of the same cohorts, of different sizes."""
    names = [f"site-{number:02d}" for number in range(1, count + 1)]
    cohorts = held or {"training_a": 9, "validation": 4}
    return [
        SecureSite(FakeSite(name, lesions_of(name, {c: n + place % 3 for c, n in cohorts.items()})), folder / name)
        for place, name in enumerate(names)
    ]


def same_state(a: State, b: State) -> bool:
    """Equal names, dtypes and bits."""
    return a.keys() == b.keys() and all(x.dtype == b[name].dtype and torch.equal(x, b[name]) for name, x in a.items())
