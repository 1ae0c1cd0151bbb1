"""Which node is which site: the registry of those that are online, and the post by which they are asked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_NAME_TTL_S = 60.0
_NAMELESS_S = 30.0  # a node that gave no proper name is left alone for so long


@dataclass(frozen=True)
class Seat:
    """Where a site sits: its node, and when that node was started (a letter to an earlier start is gone).

    site: under whose name the node's key was enrolled; "" where nodes have no keys.
    """

    node: int
    since: str
    site: str = ""


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


class Registry:
    """Which node is which site. A node with a key is the site that the key was enrolled for, whatever it says.

    Only where nodes have no keys (all on one machine) a node that is new, or was started anew, is asked for its name.
    Two nodes of one name: the one that was started last is the site, because a node that was killed stays listed for
    a minute.
    """

    def __init__(self, post: Post, look_s: float) -> None:
        """look_s: seconds between two looks for nodes."""
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
