"""Reliable delivery of tasks over a transport that can lose messages: retries, time limits, reconnecting sites.

A message is sent again if its node restarted or failed temporarily, answers are yielded as they arrive, and every wait
has a time limit. The transport is separate (`flower_link` has the one through Flower).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ceus_models.plan.answers.answer_size import bound_answer
from ceus_models.plan.terms.deadlines import Deadlines, ResponseTimes
from ceus_models.protocol.encoding import WireError, decode, to_bytes
from ceus_models.protocol.messages import Refusal, Task
from ceus_models.runtime.errors import ExpectedError
from server.rounds.round import Answer, Lost
from server.transport.audit_watch import AnswerNote, AuditWatch
from server.transport.message_log import compute_digest
from server.transport.node_registry import NodeAddress, NodeRegistry, NodeTransport, Reply

_LATE_S = 600.0  # after giving up, replies are still polled for this long, to log late answers
_LATE_LOOK_S = 30.0


@dataclass(frozen=True)
class RetrySchedule:
    """Intervals in seconds.

    Args:
        poll_s: between polls for replies.
        look_s: between updates of the list of nodes.
        pause_s: before a message is sent again; doubles each time.
    """

    poll_s: float = 0.25
    look_s: float = 2.0
    pause_s: float = 3.0


RETRY_SCHEDULE = RetrySchedule()


class DeliveryObserver(Protocol):
    """Observer of all messages (`server.transport.message_log` logs them)."""

    def on_sent(self, task: Task, site: str, digest: str, size: int) -> None:
        """A task was sent."""
        ...

    def on_answer(self, task: Task, site: str, data: bytes, seconds: float, note: AnswerNote) -> None:
        """An answer came, this many seconds after the task."""
        ...

    def on_late(self, task: Task, site: str, data: bytes, fault: str = "") -> None:
        """An answer came after its round."""
        ...

    def on_lost(self, task: Task, site: str, reason: str) -> None:
        """No answer came."""
        ...


@dataclass(eq=False)
class _Request:
    """One task in progress.

    Args:
        queue: sites to send to, and the earliest time.
        waiting: messages sent and not answered.
        ends: time limit of each site.
    """

    task: Task
    data: bytes
    digest: str
    begun: float
    ends: dict[str, float]
    queue: dict[str, float]
    seen: dict[str, float]
    waiting: dict[str, tuple[str, NodeAddress]] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)

    def requeue(self, site: str, pause_s: float) -> None:
        """Queue `site` again, with a longer pause after every attempt."""
        now = time.monotonic()
        self.queue[site] = now + pause_s * 2.0 ** (self.tries[site] - 1)
        self.seen[site] = now

    def drop(self, site: str) -> list[str]:
        """Stop waiting for a site; the ids of its unanswered messages."""
        self.queue.pop(site, None)
        letters = [letter for letter, (name, _) in self.waiting.items() if name == site]
        for letter in letters:
            del self.waiting[letter]
        return letters


@dataclass(frozen=True)
class _LateMessage:
    """A message that was given up."""

    task: Task
    site: str
    until: float


class RetryingLink:
    """A `server.rounds.round.Link` with retries over a transport."""

    def __init__(
        self,
        post: NodeTransport,
        expected: int,
        deadlines: Deadlines,
        witness: DeliveryObserver,
        rhythm: RetrySchedule = RETRY_SCHEDULE,
    ) -> None:
        """expected: the number of sites to wait for before the study starts."""
        self._post, self._expected, self._deadlines, self._rhythm = post, expected, deadlines, rhythm
        self._witness = witness
        self.histories = ResponseTimes(deadlines)
        self.audits = AuditWatch()
        self._registry = NodeRegistry(post, rhythm.look_s)
        self._gathered_by = time.monotonic() + deadlines.gather_s
        self._late: dict[str, _LateMessage] = {}
        self._late_due = 0.0

    def sites(self) -> list[str]:
        """Connected sites by name. Waits for the expected number, for at most `gather_s`.

        A site that disconnected less than `absent_s` ago still counts: it may be restarting.

        Raises:
            ExpectedError: if no site connected.
        """
        known = self._registry.recent(self._deadlines.absent_s)
        if not known:  # at the start, or if all disconnected together (a network fault on this side): wait again
            self._gathered_by = time.monotonic() + self._deadlines.gather_s
        while len(known) < self._expected and time.monotonic() < self._gathered_by:
            time.sleep(self._rhythm.poll_s)
            known = self._registry.recent(self._deadlines.absent_s)
        if not known:
            raise ExpectedError(
                f"no site connected within {self._deadlines.gather_s:.0f} s; start the sites and read their logs"
            )
        return sorted(known)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """Yield exactly one answer per site as it arrives; Lost, with the reason, for a site that gave none."""
        asking = self._begun(task, sites)
        while asking.queue or asking.waiting:
            seats = self._registry.online_nodes()
            yield from self._give_up(asking, seats)
            self._send(asking, seats)
            came = 0
            for reply in self._post.replies(list(asking.waiting)):
                came += 1
                yield from self._handle_reply(asking, reply)
            self._collect_late()
            if not came:
                time.sleep(self._rhythm.poll_s)

    def _begun(self, task: Task, sites: Sequence[str]) -> _Request:
        now, data = time.monotonic(), to_bytes(replace(task, answers=self.audits.begin_task(sites)))
        return _Request(
            task=task,
            data=data,
            digest=compute_digest(data),
            begun=now,
            ends={site: now + self.histories.compute_limit(site, task) for site in sites},
            queue=dict.fromkeys(sites, now),
            seen=dict.fromkeys(sites, now),
        )

    def _give_up(self, asking: _Request, seats: Mapping[str, NodeAddress]) -> Iterator[tuple[str, Answer]]:
        """Give up sites whose time limit is over, and those disconnected for too long."""
        now, absent_s = time.monotonic(), self._deadlines.absent_s
        asking.seen.update(dict.fromkeys(asking.queue.keys() & seats.keys(), now))
        gone = [site for site in asking.queue if now - asking.seen[site] > absent_s]
        for site in gone:
            yield self._record_loss(asking, site, f"it went away and did not come back within {absent_s:.0f} s")
        waited_for = sorted({*asking.queue, *(site for site, _ in asking.waiting.values())})
        for site in waited_for:
            if now >= asking.ends[site]:
                limit = asking.ends[site] - asking.begun
                yield self._record_loss(asking, site, f"it gave no answer within {limit:.0f} s, its time for this task")

    def _record_loss(self, asking: _Request, site: str, reason: str) -> tuple[str, Answer]:
        until = time.monotonic() + _LATE_S
        self._late |= {letter: _LateMessage(asking.task, site, until) for letter in asking.drop(site)}
        self.histories.record_miss(site)
        self._witness.on_lost(asking.task, site, reason)
        return site, Lost(site, reason)

    def _send(self, asking: _Request, seats: Mapping[str, NodeAddress]) -> None:
        """Send to all connected sites that are due."""
        now = time.monotonic()
        for letter, (site, seat) in list(asking.waiting.items()):
            if seats.get(site, seat) != seat:  # its node restarted: the message is lost
                del asking.waiting[letter]
                asking.queue[site] = now
        due = [site for site, at in asking.queue.items() if at <= now and site in seats]
        by_end: dict[float, list[str]] = {}
        for site in due:
            by_end.setdefault(asking.ends[site], []).append(site)
        for end, sites in by_end.items():
            self._send_to(asking, sites, end - now, seats)

    def _send_to(self, asking: _Request, sites: Sequence[str], ttl_s: float, seats: Mapping[str, NodeAddress]) -> None:
        group = f"{asking.task.stage}/{asking.task.round}"
        letters = self._post.send(asking.data, group, ttl_s, [seats[site].node for site in sites])
        for site, sent in zip(sites, letters, strict=True):
            asking.tries[site] += 1
            if sent is None:
                asking.requeue(site, self._rhythm.pause_s)
            else:
                del asking.queue[site]
                asking.waiting[sent] = (site, seats[site])
                self._witness.on_sent(asking.task, site, asking.digest, len(asking.data))

    def _handle_reply(self, asking: _Request, reply: Reply) -> Iterator[tuple[str, Answer]]:
        """Yield the answer in a reply, or nothing if the message will be sent again."""
        if reply.letter not in asking.waiting:
            return  # a duplicate
        site, _ = asking.waiting.pop(reply.letter)
        seconds = time.monotonic() - asking.begun
        if reply.fault and reply.passing and asking.tries[site] < self._deadlines.attempts:
            asking.requeue(site, self._rhythm.pause_s)
            return
        answer = Lost(site, reply.fault) if reply.fault else _decode_answer(site, reply.data, asking.task)
        note = AnswerNote(answer.reason) if isinstance(answer, Lost) else self.audits.judge(site, answer)
        self._witness.on_answer(asking.task, site, reply.data, seconds, note)
        if note.alarm:
            answer = Refusal(site, note.fault, "audit")
        if isinstance(answer, Lost):
            self.histories.record_miss(site)
        else:
            self.histories.record_answer(site, asking.task.stage, asking.task.kind, seconds)
        yield site, answer

    def _collect_late(self) -> None:
        """Log and drop answers to messages that were given up."""
        now = time.monotonic()
        if not self._late or now < self._late_due:
            return
        self._late_due = now + _LATE_LOOK_S
        for reply in self._post.replies(list(self._late)):
            late = self._late.pop(reply.letter)
            self._witness.on_late(late.task, late.site, reply.data, reply.fault)
        self._late = {letter: late for letter, late in self._late.items() if late.until > now}


def _decode_answer(site: str, data: bytes, task: Task) -> Answer:
    try:
        answer = decode(data, bound_answer(task))
    except WireError as error:
        return Lost(site, f"its answer cannot be read: {error}")
    if isinstance(answer, Task) or answer.site != site:
        return Lost(site, f"its answer must be an answer of {site!r}, but is another message or of another site")
    return answer
