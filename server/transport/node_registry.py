"""The registry of online nodes and their sites, and the transport by which nodes are reached."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_NAME_TTL_S = 60.0
_NAMELESS_S = 30.0  # a node that gave no valid name is not asked again for this long


@dataclass(frozen=True)
class Seat:
    """The address of a site: its node and when the node started (messages to an earlier start are lost).

    Args:
        site: the name for which the node's key was enrolled; "" where nodes have no keys.
    """

    node: int
    since: str
    site: str = ""


@dataclass(frozen=True, eq=False)
class Reply:
    """The reply to a message: its bytes, or a fault and whether the fault may be temporary."""

    letter: str
    data: bytes = b""
    fault: str = ""
    passing: bool = False


class Post(Protocol):
    """Transport of messages to nodes. A temporary fault gives an empty result, never an exception."""

    def nodes(self) -> set[Seat]:
        """The nodes that are online now."""
        ...

    def send(self, data: bytes, group: str, ttl_s: float, nodes: Sequence[int]) -> list[str | None]:
        """Send one message to each node; their ids, None where sending failed."""
        ...

    def ask_name(self, node: int, ttl_s: float) -> str | None:
        """Ask a node for its site's name, which comes back as UTF-8; the id of the message."""
        ...

    def replies(self, letters: Sequence[str]) -> Iterator[Reply]:
        """Yield the replies that have arrived, each once."""
        ...


class Registry:
    """Maps sites to nodes. A node with a key is the site for which the key was enrolled, whatever name it sends.

    Only where nodes have no keys (all on one machine) a new or restarted node is asked for its name. Of two nodes with
    the same name the one started last is the site, because a killed node stays listed for a minute.
    """

    def __init__(self, post: Post, look_s: float) -> None:
        """look_s: seconds between queries for nodes."""
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
        self._names.update({seat: seat.site for seat in online if seat.site})
        self._learn()
        self._ask(online)
        known = sorted(online & self._names.keys(), key=lambda seat: (seat.since, seat.node))
        now = time.monotonic()
        self._seats = {self._names[seat]: seat for seat in known}
        self._last_seen.update(dict.fromkeys(self._seats, now))
        self._due = now if self._asked else now + self._look_s  # while waiting for a name: query at every poll
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
