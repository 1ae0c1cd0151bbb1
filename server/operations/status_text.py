"""The status for a person, on a terminal or as a page: sites, rounds, and what somebody must do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ceus_models.runtime.humanize import format_age, format_size
from ceus_models.runtime.liveness.moment import DOUBTED
from ceus_models.web.templates import render
from server.federation.expiry import Line
from server.operations.liveness import Trouble
from server.operations.overview import Overview, SiteStatus
from server.operations.snapshot import Snapshot

_LAST_ROUNDS = 12
_KEY = "key"
_Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]  # title, head and rows


def print_status(found: Snapshot, out: Console, more: Sequence[str] = ()) -> None:
    """All of it. more: what else must be looked at."""
    trouble, warnings = _list_warnings(found)
    for line in _state(found):
        out.print(escape(line), soft_wrap=True)
    for line in trouble:
        out.print(f"[red]{escape(line)}[/]", soft_wrap=True)
    for title, head, rows in _tables(found):
        table = Table(*(Column(name, overflow="fold" if name == _KEY else "ellipsis") for name in head), title=title)
        for row in rows:
            table.add_row(*map(escape, row))
        out.print(table)
    for line in (*warnings, *more):
        out.print(f"[red]{escape(line)}[/]", soft_wrap=True)


def render_status(found: Snapshot, again_s: int, more: Sequence[str] = ()) -> str:
    """The same as a page of its own, which a browser loads anew every `again_s` seconds (0: never)."""
    trouble, warnings = _list_warnings(found)
    return render(
        "server.operations",
        "status.html",
        title=found.validity.identity,
        again=again_s,
        state=_state(found),
        to_do=[*trouble, *warnings, *more],
        tables=list(_tables(found)),
        as_of=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    )


def format_trouble(trouble: Trouble) -> str:
    """One line of what is wrong, and since when."""
    since = time.strftime("%H:%M:%S", time.localtime(trouble.since))
    age = DOUBTED if trouble.for_s is None else f"{trouble.for_s:.0f} s"
    return f"not getting on, since {since} ({age}): {trouble.said}"


def _state(found: Snapshot) -> list[str]:
    lines = [f"federation {found.validity.identity}; up: {'yes' if found.up else 'no'}"]
    for name, seen in found.studies.items():
        cause = seen.state.cause or seen.doing
        lines.append(f"study {name}; run: {seen.state.phase}{f' ({cause})' if cause else ''}")
        lines += [seen.estimate] if seen.estimate else []
        lines += _list_software(seen)
    return lines if found.studies else [*lines, "no study"]


def _list_warnings(found: Snapshot) -> tuple[list[str], list[str]]:
    """Why runs do not get on, and what somebody must look at; what two studies tell alike stands once."""
    trouble, look_at, gone = [], [], []
    for study, seen in found.studies.items():
        if seen.trouble:
            trouble.append(f"{study}: {format_trouble(seen.trouble)}")
        for name, site in sorted(seen.sites.items()):
            if site.look_at:
                look_at.append(f"{name} must be looked at: {site.look_at}")
            if site.withdrawn:
                said = f"{name}: {site.withdrawn} patients of study {study} have withdrawn"
                gone.append(f"{said}; earlier answers hold their part")
    return trouble, list(dict.fromkeys([*found.validity.warnings, *look_at, *gone]))


def _list_software(seen: Overview) -> list[str]:
    """What the sites run, the same software once."""
    runs: dict[str, list[str]] = {}
    for name, site in sorted(seen.sites.items()):
        runs.setdefault(site.software, []).append(name)
    return [f"{software}: {', '.join(names)}" for software, names in runs.items() if software]


def _tables(found: Snapshot) -> Iterator[_Table]:
    """The certificates, and the tables of each study."""
    valid = found.validity
    yield (
        "",
        ("certificate", "standing", "days left", "expires", _KEY),
        [
            (
                line.name,
                line.standing,
                "" if line.days_left is None else str(line.days_left),
                line.expires[:10],
                line.fingerprint,
            )
            for line in (*valid.servers, *valid.sites)
        ],
    )
    for seen in found.studies.values():
        yield from _study_tables(seen, {line.name: line for line in valid.sites})


def _study_tables(seen: Overview, lines: Mapping[str, Line]) -> Iterator[_Table]:
    now = seen.round
    title = f"{now['stage']}: {now['kind']}, step {now['step'] + 1} of {now['steps']}" if now else "no round yet"
    sites = [
        _site_row(name, seen.sites.get(name, SiteStatus()), lines.get(name)) for name in sorted({*lines, *seen.sites})
    ]
    head: tuple[str, ...] = ("site", "enrolled", "connected", "now", "counted", "not", "sent", "received", "why")
    yield f"{seen.study}, {title}", head, sites
    if seen.rounds:
        head = ("stage", "kind", "round", "counted", "s", "loss", "missing")
        yield f"{seen.study}, the last rounds", head, list(map(_round_row, seen.rounds[-_LAST_ROUNDS:]))


def _site_row(name: str, site: SiteStatus, line: Line | None) -> tuple[str, ...]:
    connected = {None: "?", True: "yes", False: "no"}[site.connected]
    faults = sum(count for fate, count in site.rounds.items() if fate in ("refused", "excluded", "lost"))
    counts = (
        str(site.rounds.get("counted", 0)),
        str(faults),
        format_size(site.sent["all"]),
        format_size(site.received["all"]),
    )
    return (name, line.standing if line else "no", connected, _doing(site), *counts, site.reason)


def _doing(site: SiteStatus) -> str:
    if site.doing != "asked":
        return site.doing
    if site.share is None:
        return f"asked {format_age(site.seconds)}"
    return f"asked {format_age(site.seconds)}, {site.share:.0%} of its usual {site.usual_s:.0f} s"


def _round_row(record: Mapping[str, Any]) -> tuple[str, ...]:
    missing = ", ".join(sorted({**record["refused"], **record["excluded"], **record["lost"]}))
    counted = f"{len(record['counted'])} of {len(record['asked'])}"
    losses = record["curves"].values()
    loss = f"{sum(losses) / len(losses):.4f}" if losses else ""
    return (record["stage"], record["kind"], str(record["round"]), counted, f"{record['seconds']:.1f}", loss, missing)
