"""How often somebody is told of the same: what changes again and again is gathered into one notice an hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from ceus_models.runtime.liveness.moment import Moment
from server.notices.changes import Change
from server.notices.facts import elapsed_s

WINDOW_S = 3600.0
_GROUPED = ("refusal", "exclusion", "loss")
"""Told of all sites together: a round may miss many."""
_AT_ONCE = 2
"""So many notices of one thing within the window are told at once: it begins, and it is over."""


class Held(BaseModel):
    """Notices of one thing. since: the window's begin · told: within it · waiting: by what they are about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Moment
    told: int
    waiting: Mapping[str, Change] = {}


def damp(held: Mapping[str, Held], changes: Iterable[Change], now: Moment) -> tuple[dict[str, Held], list[Change]]:
    """What is held back after these changes, and what is told now."""
    after, told = dict(held), list[Change]()
    for key, things in _group(changes).items():
        known = after.get(key)
        if known is None:
            after[key] = Held(since=now, told=1)
            told += things
        elif known.told < _AT_ONCE and not known.waiting and things[0].kind not in _GROUPED:
            after[key] = known.model_copy(update={"told": known.told + 1})
            told += things
        else:
            after[key] = known.model_copy(update={"waiting": _gather(known.waiting, things)})
    for key, known in list(after.items()):
        if elapsed_s(known.since, now) < WINDOW_S:
            continue
        told += known.waiting.values()
        if known.waiting:
            after[key] = Held(since=now, told=_AT_ONCE)
        else:
            del after[key]
    return after, told


def _group(changes: Iterable[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        about = "" if change.kind in _GROUPED else change.about
        found.setdefault("/".join((change.kind, change.study, about)), []).append(change)
    return found


def _gather(waiting: Mapping[str, Change], things: Iterable[Change]) -> dict[str, Change]:
    """The last change of each thing, with the count of all."""
    after = dict(waiting)
    for change in things:
        earlier = after[change.about].count if change.about in after else 0
        after[change.about] = change.model_copy(update={"count": earlier + change.count})
    return after
