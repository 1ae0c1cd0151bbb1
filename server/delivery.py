"""A link over a post that loses letters: who is reachable, what was sent, what came back, and when to give up.

A letter is sent again when its node was started anew or failed in passing, answers are handed out as they come, and
every wait has an end. How letters travel is the post's affair (`server.link` has the one through Flower).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ceus_models.encoding import WireError, decode, to_bytes
from ceus_models.failures import ExpectedError
from ceus_models.wire import Task
from server.exchange import Answer, Lost

_NAME_TTL_S = 60.0
_NAMELESS_S = 30.0  # a node that gave no proper name is left alone for so long


@dataclass(frozen=True)
class Patience:
    """How long the link waits, in seconds.

    gather: for the expected sites to connect · answer: for all answers to one task · absent: for a site that went
    away to come back · poll, look: between two looks for replies, and for nodes · pause: before a letter is sent
    again, doubling each time · attempts: how often one task is sent to one site at most.
    """

    gather_s: float = 300.0
    answer_s: float = 3600.0
    absent_s: float = 120.0
    poll_s: float = 0.25
    look_s: float = 2.0
    pause_s: float = 3.0
    attempts: int = 5


PATIENT = Patience()


@dataclass(frozen=True)
class Seat:
    """Where a site sits: its node, and when that node was started (a letter to an earlier start is gone)."""

    node: int
    since: str


@dataclass(frozen=True, eq=False)
class Reply:
    """What came back for a letter: the bytes, or why there are none and whether that may pass."""

    letter: str
    data: bytes = b""
    fault: str = ""
    passing: bool = False


class Post(Protocol):
    """Carries letters to nodes. A fault in passing is an absent result here, never an exception."""

    def nodes(self) -> set[Seat]:
        """The nodes that are online now."""
        ...

    def send(self, data: bytes, group: str, ttl_s: float, nodes: Sequence[int]) -> list[str | None]:
        """The ids of one letter to each node, None where it could not be sent."""
        ...

    def ask_name(self, node: int, ttl_s: float) -> str | None:
        """The id of a letter that asks a node for its site's name, which comes back as UTF-8."""
        ...

    def replies(self, letters: Sequence[str]) -> Iterator[Reply]:
        """The replies that are there, each handed out once."""
        ...


@dataclass(eq=False)
class _Asking:
    """One task under way: `queue` holds who must be asked and from when on, `waiting` the letters sent."""

    data: bytes
    group: str
    end: float
    queue: dict[str, float]
    seen: dict[str, float]
    waiting: dict[str, tuple[str, Seat]] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)

    def again(self, site: str, pause_s: float) -> None:
        """Queue `site` once more, later with every try."""
        now = time.monotonic()
        self.queue[site] = now + pause_s * 2.0 ** (self.tries[site] - 1)
        self.seen[site] = now

    def open(self) -> list[str]:
        """The sites whose answer is missing."""
        return sorted({*self.queue, *(site for site, _ in self.waiting.values())})


class PostLink:
    """A `server.exchange.Link` over a post."""

    def __init__(self, post: Post, expected: int, patience: Patience = PATIENT) -> None:
        """expected: the number of sites to wait for before the study starts."""
        self._post, self._expected, self._patience = post, expected, patience
        self._registry = _Registry(post, patience.look_s)
        self._gathered_by = time.monotonic() + patience.gather_s

    def sites(self) -> list[str]:
        """Connected sites by name. Waits for the expected number, but only until the time to gather is over.

        A site that went away less than `absent_s` ago still counts: it is being started again.
        Raises ExpectedError if none came.
        """
        while len(known := self._registry.recent(self._patience.absent_s)) < self._expected:
            if time.monotonic() >= self._gathered_by:
                break
            time.sleep(self._patience.poll_s)
        if not known:
            raise ExpectedError(
                f"no site connected within {self._patience.gather_s:.0f} s; start the sites and look into their logs"
            )
        return sorted(known)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """Every site's answer as it comes, exactly one each; a site that gave none is Lost, with the reason."""
        now, patience = time.monotonic(), self._patience
        asking = _Asking(
            data=to_bytes(task),
            group=f"{task.stage}/{task.round}",
            end=now + patience.answer_s,
            queue=dict.fromkeys(sites, now),
            seen=dict.fromkeys(sites, now),
        )
        while (asking.queue or asking.waiting) and time.monotonic() < asking.end:
            seats = self._registry.seats()
            for site in self._given_up(asking, seats):
                yield site, Lost(site, f"it went away and did not come back within {patience.absent_s:.0f} s")
            self._send(asking, seats)
            came = 0
            for reply in self._post.replies(list(asking.waiting)):
                came += 1
                yield from self._settle(asking, reply)
            if not came:
                time.sleep(patience.poll_s)
        for site in asking.open():
            yield site, Lost(site, f"it gave no answer within {patience.answer_s:.0f} s")

    def _given_up(self, asking: _Asking, seats: Mapping[str, Seat]) -> list[str]:
        """The sites in the queue that have been away for too long, now out of it."""
        now = time.monotonic()
        asking.seen.update(dict.fromkeys(asking.queue.keys() & seats.keys(), now))
        gone = [site for site in asking.queue if now - asking.seen[site] > self._patience.absent_s]
        for site in gone:
            del asking.queue[site]
        return gone

    def _send(self, asking: _Asking, seats: Mapping[str, Seat]) -> None:
        """Send to all that are due and there."""
        now = time.monotonic()
        for letter, (site, seat) in list(asking.waiting.items()):
            if seats.get(site, seat) != seat:  # its node was started anew: the letter is gone
                del asking.waiting[letter]
                asking.queue[site] = now
        due = [site for site, at in asking.queue.items() if at <= now and site in seats]
        if not due:
            return
        letters = self._post.send(asking.data, asking.group, asking.end - now, [seats[site].node for site in due])
        for site, sent in zip(due, letters, strict=True):
            asking.tries[site] += 1
            if sent is None:
                asking.again(site, self._patience.pause_s)
            else:
                del asking.queue[site]
                asking.waiting[sent] = (site, seats[site])

    def _settle(self, asking: _Asking, reply: Reply) -> Iterator[tuple[str, Answer]]:
        """The answer in a reply, or nothing where the letter will be sent again."""
        site, _ = asking.waiting.pop(reply.letter)
        if not reply.fault:
            yield site, _answer(site, reply.data)
        elif reply.passing and asking.tries[site] < self._patience.attempts:
            asking.again(site, self._patience.pause_s)
        else:
            yield site, Lost(site, reply.fault)


def _answer(site: str, data: bytes) -> Answer:
    try:
        answer = decode(data)
    except WireError as error:
        return Lost(site, f"its answer cannot be read: {error}")
    if isinstance(answer, Task) or answer.site != site:
        return Lost(site, "its answer is none, or is given in another site's name")
    return answer


class _Registry:
    """Which node is which site. A node that is new, or was started anew, is asked for its name.

    Two nodes of one name: the one that was started last is the site, because a node that was killed stays listed for
    a minute. (That a node may use a name is for its key to prove, not for this class.)
    """

    def __init__(self, post: Post, look_s: float) -> None:
        self._post, self._look_s = post, look_s
        self._names: dict[Seat, str] = {}
        self._asked: dict[str, tuple[Seat, float]] = {}
        self._nameless: dict[Seat, float] = {}
        self._seats: dict[str, Seat] = {}
        self._last_seen: dict[str, float] = {}
        self._due = 0.0

    def seats(self) -> dict[str, Seat]:
        """The sites that were online at most `look_s` ago."""
        if time.monotonic() < self._due:
            return self._seats
        online = self._post.nodes()
        self._learn()
        self._ask(online)
        known = sorted(online & self._names.keys(), key=lambda seat: (seat.since, seat.node))
        now = time.monotonic()
        self._seats = {self._names[seat]: seat for seat in known}
        self._last_seen.update(dict.fromkeys(self._seats, now))
        self._due = now if self._asked else now + self._look_s  # a name is waited for: look again with every poll
        return self._seats

    def recent(self, absent_s: float) -> list[str]:
        """The sites that were online at some time in the last `absent_s`."""
        self.seats()
        return [site for site, at in self._last_seen.items() if time.monotonic() - at <= absent_s]

    def _learn(self) -> None:
        for reply in self._post.replies(list(self._asked)):
            seat, _ = self._asked.pop(reply.letter)
            name = reply.data[:257].decode(errors="replace")
            if not reply.fault and 0 < len(name) <= 64 and name.isprintable():
                self._names[seat] = name
            elif not reply.passing:
                self._nameless[seat] = time.monotonic() + _NAMELESS_S

    def _ask(self, online: set[Seat]) -> None:
        now = time.monotonic()
        self._asked = {letter: (seat, end) for letter, (seat, end) in self._asked.items() if now < end}
        left_alone = {seat for seat, _ in self._asked.values()} | {s for s, end in self._nameless.items() if now < end}
        for seat in sorted(online - self._names.keys() - left_alone, key=lambda seat: seat.node):
            letter = self._post.ask_name(seat.node, _NAME_TTL_S)
            if letter is not None:
                self._asked[letter] = (seat, now + _NAME_TTL_S)
