"""What is known of a federation at one moment, as far as somebody is told of its changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from ceus_models.runtime.liveness.moment import Moment, compute_age
from server.operations.overview import Overview
from server.operations.snapshot import Snapshot
from server.run_folder.orders import Phase

_FROZEN = ConfigDict(extra="forbid", frozen=True)
FLAP_WINDOW_S = 3600.0
_DROPS = 32


class Missing(BaseModel):
    """Rounds in which a site was asked and not counted. where: the last of them · reason: of the last."""

    model_config = _FROZEN

    rounds: int
    where: str
    reason: str


class RunFacts(BaseModel):
    """A study's run. since: of its trouble · missing: fate → site → its rounds so far · withdrawn, alarms: by site."""

    model_config = _FROZEN

    order: str = ""
    phase: Phase = "none"
    cause: str = ""
    trouble: str = ""
    since: Moment | None = None
    missing: Mapping[str, Mapping[str, Missing]] = {}
    withdrawn: Mapping[str, int] = {}
    alarms: Mapping[str, str] = {}


class Connection(BaseModel):
    """Of a site that was connected once. absent: since when it is not · drops: its last ones within an hour."""

    model_config = _FROZEN

    absent: Moment | None = None
    drops: tuple[Moment, ...] = ()


class Facts(BaseModel):
    """days: certificate → days until it ends · stale: sites whose kit has a former address · runs: by study."""

    model_config = _FROZEN

    at: Moment
    address: str
    days: Mapping[str, int] = {}
    stale: tuple[str, ...] = ()
    connections: Mapping[str, Connection] = {}
    runs: Mapping[str, RunFacts] = {}


def observe(before: Facts | None, seen: Snapshot, address: str, now: Moment) -> Facts:
    """The facts of now; the sites' connections are the same in all studies."""
    validity, online = seen.validity, dict[str, bool | None]()
    for overview in seen.studies.values():
        online |= {name: site.connected for name, site in overview.sites.items()}
    known = before.connections if before else {}
    return Facts(
        at=now,
        address=address,
        days={
            line.name: line.days_left
            for line in (*validity.servers, *validity.sites)
            if line.days_left is not None and line.standing != "revoked"
        },
        stale=tuple(line.name for line in validity.sites if line.standing == "moved"),
        connections={
            name: one for name in sorted({*known, *online}) if (one := _connect(known.get(name), online.get(name), now))
        },
        runs={
            study: _summarize_run(overview, before.runs.get(study) if before else None, now)
            for study, overview in seen.studies.items()
        },
    )


def elapsed_s(then: Moment, now: Moment) -> float:
    """Seconds since then; endless where the clocks cannot tell, so that nothing waits for ever."""
    age = compute_age(then, now)
    return float("inf") if age is None else age


def _connect(before: Connection | None, connected: bool | None, now: Moment) -> Connection | None:
    """connected: None where it cannot be known; then all stays as it was."""
    if before is None:
        return Connection() if connected else None
    drops = tuple(drop for drop in before.drops if elapsed_s(drop, now) < FLAP_WINDOW_S)[-_DROPS:]
    if connected is None or connected == (before.absent is None):
        return before.model_copy(update={"drops": drops})
    return Connection(drops=drops) if connected else Connection(absent=now, drops=(*drops, now))


def _summarize_run(seen: Overview, before: RunFacts | None, now: Moment) -> RunFacts:
    trouble = seen.trouble.said if seen.trouble else ""
    lasts = before is not None and _strip_numbers(before.trouble) == _strip_numbers(trouble)
    return RunFacts(
        order=seen.state.order,
        phase=seen.state.phase,
        cause=seen.state.cause,
        trouble=trouble,
        since=(before.since if before and lasts else now) if trouble else None,
        missing={fate: _count_missing(seen.rounds, fate) for fate in ("refused", "excluded", "lost")},
        withdrawn={name: site.withdrawn for name, site in seen.sites.items() if site.withdrawn},
        alarms={name: site.alarm for name, site in seen.sites.items() if site.alarm},
    )


def _strip_numbers(text: str) -> str:
    """The same trouble with less room on the disk is no other one."""
    return re.sub(r"\d+", "", text)


def _count_missing(rounds: tuple[Mapping[str, Any], ...], fate: str) -> dict[str, Missing]:
    found: dict[str, Missing] = {}
    for record in rounds:
        where = f"{record['stage']}, {record['kind']} {record['round']}"
        for name, reason in record[fate].items():
            earlier = found[name].rounds if name in found else 0
            found[name] = Missing(rounds=earlier + 1, where=where, reason=reason)
    return found
