"""The status for a person: one table of sites, one of rounds, and what somebody must do."""

from __future__ import annotations

import html
import io
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from ceus_models.runtime.humanize import size
from server.federation.expiry import Line, Validity
from server.operations.liveness import Trouble
from server.operations.overview import Overview, SiteNow

_LAST_ROUNDS = 12
_PAGE_WIDTH = 170


def print_status(seen: Overview, valid: Validity, out: Console) -> None:
    """All of it."""
    out.print(f"federation {escape(valid.identity)}; up: {'yes' if seen.up else 'no'}", soft_wrap=True)
    said = seen.state.cause or seen.doing
    out.print(f"run: {seen.state.phase}{escape(f' ({said})' if said else '')}", soft_wrap=True)
    if seen.trouble:
        out.print(f"[red]{escape(told_trouble(seen.trouble))}[/]", soft_wrap=True)
    out.print(_certificates(valid))
    out.print(_sites(seen, valid))
    if seen.rounds:
        out.print(_rounds(seen))
    for warning in (*valid.warnings, *_to_look_at(seen)):
        out.print(f"[red]{escape(warning)}[/]", soft_wrap=True)


def status_html(seen: Overview, valid: Validity, again_s: int) -> str:
    """The same as a page of its own, which a browser loads anew every `again_s` seconds (0: never)."""
    console = Console(record=True, file=io.StringIO(), width=_PAGE_WIDTH, highlight=False)
    print_status(seen, valid, console)
    console.print(f"as of {time.strftime('%Y-%m-%d %H:%M:%S %Z')}")
    page = console.export_html(theme=DEFAULT_TERMINAL_THEME)
    again = f'<meta http-equiv="refresh" content="{again_s}">' if again_s else ""
    return page.replace("<head>", f"<head>\n<title>{html.escape(valid.identity)}</title>{again}", 1)


def told_trouble(trouble: Trouble) -> str:
    """One line of what is wrong, and since when."""
    since = time.strftime("%H:%M:%S", time.localtime(trouble.since))
    return f"not getting on, since {since} ({max(time.time() - trouble.since, 0.0):.0f} s): {trouble.said}"


def _certificates(valid: Validity) -> Table:
    table = Table("certificate", "standing", "days left", "expires", Column("key", overflow="fold"))
    for line in (*valid.servers, *valid.sites):
        left = "" if line.days_left is None else str(line.days_left)
        table.add_row(escape(line.name), line.standing, left, line.expires[:10], line.fingerprint)
    return table


def _sites(seen: Overview, valid: Validity) -> Table:
    now = seen.round
    title = f"{now['stage']}: {now['kind']}, step {now['step'] + 1} of {now['steps']}" if now else "no round yet"
    table = Table("site", "enrolled", "connected", "now", "counted", "not", "sent", "received", "why", title=title)
    lines = {line.name: line for line in valid.sites}
    for name in sorted({*lines, *seen.sites}):
        table.add_row(*_row(name, seen.sites.get(name, SiteNow()), lines.get(name)))
    return table


def _row(name: str, site: SiteNow, line: Line | None) -> tuple[str, ...]:
    connected = {None: "?", True: "yes", False: "no"}[site.connected]
    faults = sum(count for fate, count in site.rounds.items() if fate in ("refused", "excluded", "lost"))
    return (
        escape(name),
        line.standing if line else "no",
        connected,
        _doing(site),
        str(site.rounds.get("counted", 0)),
        str(faults),
        size(site.sent["all"]),
        size(site.received["all"]),
        escape(site.reason),
    )


def _doing(site: SiteNow) -> str:
    if site.doing != "asked":
        return site.doing
    if site.share is None:
        return f"asked {site.seconds or 0:.0f} s ago"
    return f"asked {site.seconds or 0:.0f} s ago, {site.share:.0%} of its usual {site.usual_s:.0f} s"


def _rounds(seen: Overview) -> Table:
    table = Table("stage", "kind", "round", "counted", "missing", "s", "loss", title="the last rounds")
    for record in seen.rounds[-_LAST_ROUNDS:]:
        missing = ", ".join(sorted({**record["refused"], **record["excluded"], **record["lost"]}))
        counted = f"{len(record['counted'])} of {len(record['asked'])}"
        values = (record["stage"], record["kind"], str(record["round"]), counted, missing, f"{record['seconds']:.1f}")
        table.add_row(*values, _loss(record["curves"]))
    return table


def _loss(curves: Mapping[str, Any]) -> str:
    return f"{sum(curves.values()) / len(curves):.4f}" if curves else ""


def _to_look_at(seen: Overview) -> list[str]:
    return [f"{name} must be looked at: {site.look_at}" for name, site in sorted(seen.sites.items()) if site.look_at]
