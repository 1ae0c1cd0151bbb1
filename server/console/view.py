"""What the coordinator's console shows of an overview, in the words of its pages."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.federation.expiry import Line, Validity
from server.operations.overview import Overview, SiteStatus
from server.transport.message_log import LoggedMessage

SLOW = 2.0
"""A site is called slow that takes so many times its usual time; without one, the time of those who answered."""
_FATES = ("counted", "idle", "refused", "excluded", "lost")
_NO_SUM = ("refused", "excluded", "lost")
_OPEN_TO_RESEARCHERS = (
    "name", "connected", "doing", "seconds", "usual_s", "share", "rounds", "sent", "received", "late",
)  # fmt: skip


@dataclass(frozen=True)
class AtWork:
    """A site that has not answered in the round under way. share: of its usual time, above 1 where it is over it."""

    name: str
    seconds: float
    usual_s: float | None
    share: float | None
    slow: bool


@dataclass(frozen=True)
class SiteRow:
    """A site with its certificate's line; bundle: whether it runs the study's bundle, as far as its answers tell."""

    name: str
    line: Line | None
    now: SiteStatus
    missed: int
    bundle: str


def list_pending(seen: Overview) -> list[AtWork]:
    """The sites that the round waits for, the slowest first."""
    told = [site.seconds for site in seen.sites.values() if site.doing in _FATES and site.seconds]
    others = statistics.median(told) if told else None
    found = []
    for name, site in seen.sites.items():
        if site.doing != "asked" or site.seconds is None:
            continue
        share = site.seconds / site.usual_s if site.usual_s else None
        against = site.usual_s or others
        found.append(AtWork(name, site.seconds, site.usual_s, share, bool(against and site.seconds > SLOW * against)))
    return sorted(found, key=lambda site: (not site.slow, -(site.share or 0), -site.seconds, site.name))


def count_fates(seen: Overview) -> dict[str, int]:
    """How many sites of the round under way have which fate."""
    fates = [site.doing for site in seen.sites.values()]
    return {fate: fates.count(fate) for fate in _FATES if fate in fates}


def missing(record: Mapping[str, Any]) -> dict[str, str]:
    """The sites of a round that were asked and not counted, with fate and reason; idle ones have nothing to add."""
    return {name: f"{fate}: {reason}" for fate in _NO_SUM for name, reason in sorted(record[fate].items())}


def site_rows(seen: Overview, valid: Validity) -> list[SiteRow]:
    """Every site that is enrolled, may be, or took part."""
    lines = {line.name: line for line in valid.sites}
    rows = []
    for name in sorted({*lines, *seen.sites}):
        site = seen.sites.get(name, SiteStatus())
        missed = sum(site.rounds.get(fate, 0) for fate in _NO_SUM)
        rows.append(SiteRow(name, lines.get(name), site, missed, _bundle(name, seen.rounds)))
    return rows


def _bundle(name: str, rounds: Sequence[Mapping[str, Any]]) -> str:
    """By the last round that it was asked in: a refusal says so, and a site answers under an approved bundle only."""
    record = next((one for one in reversed(rounds) if name in one["asked"]), None)
    if record is None:
        return ""
    reason = missing(record).get(name, "")
    if "ceus-site approve" in reason:
        return "not approved there"
    return "in use" if name in record["answered"] else ""


def describe_fate(message: LoggedMessage, rounds: Sequence[Mapping[str, Any]]) -> str:
    """What became of a message: a round under way has no fates yet."""
    if message["event"] == "late":
        return "late, not counted"
    if message["event"] == "sent" or message.get("fault"):
        return str(message.get("fault", ""))
    here = [one for one in rounds if all(one[key] == message[key] for key in ("stage", "kind", "round"))]
    for record in here:
        for fate in _FATES:
            if message["site"] in record[fate]:
                reason = record[fate][message["site"]] if fate in _NO_SUM else ""
                return f"{fate}: {reason}" if reason else fate
    return ""


def redact_status(document: Mapping[str, Any]) -> dict[str, Any]:
    """The status without keys, certificates and the reasons of single sites beyond those that the report shows."""
    name = document["federation"].partition(":")[0]  # behind it stands the CA's fingerprint
    found = {"federation": name, "up": document["up"]}
    if "studies" in document:
        return {**found, "studies": [_redact_study(one) for one in document["studies"]]}
    return {**found, **_redact_study(document)}


def _redact_study(document: Mapping[str, Any]) -> dict[str, Any]:
    sites = [{key: site[key] for key in _OPEN_TO_RESEARCHERS if key in site} for site in document["sites"]]
    return {"study": document["study"], "sites": sites, "run": document["run"]}
