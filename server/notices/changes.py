"""What changed between two moments that somebody is told of: a pure function of the facts before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict

from server.notices.facts import Connection, Facts, Missing, RunFacts, elapsed_s
from server.notices.kinds import Kind

THRESHOLDS_DAYS = (1, 7, 30)
STAYS_S = 60.0
"""What hinders a run for a shorter time, as while `up` starts, is not told."""
FLAPS = 5
"""So many lost connections within an hour are told of, however short they are."""
_FATES: Mapping[str, Kind] = {"refused": "refusal", "excluded": "exclusion", "lost": "loss"}
_ENDS = {"done": "is done", "stopped": "was stopped", "failed": "has failed"}


class Change(BaseModel):
    """One change. about: site, certificate or "" · text: a clause · count: of the changes that it stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    about: str
    text: str
    study: str = ""
    count: int = 1


def find_changes(before: Facts | None, after: Facts, gone_after_s: float) -> list[Change]:
    """All changes, in the order of the kinds' weight.

    At the first look (before: None) what needs somebody is told; what is over, or was always so, is not.
    """
    runs = before.runs if before else {}
    found: list[Change] = []
    for study, run in after.runs.items():
        found += _compare_troubles(study, (runs.get(study), before), (run, after))
        found += _compare_runs(study, runs.get(study), run)
    found += _compare_days(before.days if before else {}, after.days)
    found += _compare_addresses(before, after)
    known = before.connections if before else {}
    for name, one in after.connections.items():
        found += _compare_connection(name, (known.get(name), before), (one, after), gone_after_s)
    return found


def _compare_troubles(
    study: str, old: tuple[RunFacts | None, Facts | None], new: tuple[RunFacts, Facts]
) -> Iterator[Change]:
    was, now = _find_standing(*old), _find_standing(*new)
    of = f"study {study}: " if study else ""
    begun = new[0].since if now else None
    if begun and not (was and old[0] and old[0].since == begun):
        yield Change(kind="trouble", about="", study=study, text=f"{of}it does not get on: {now}")
    elif was and not new[0].trouble:
        yield Change(kind="trouble", about="", study=study, text=f"{of}the trouble is over: {was}")


def _find_standing(run: RunFacts | None, facts: Facts | None) -> str:
    """The trouble of a run that has lasted; "" without one."""
    if run is None or facts is None or run.since is None:
        return ""
    return run.trouble if elapsed_s(run.since, facts.at) >= STAYS_S else ""


def _compare_runs(study: str, before: RunFacts | None, run: RunFacts) -> Iterator[Change]:
    old = before or RunFacts()
    of = f"study {study}: " if study else ""
    if before and run.phase in _ENDS and (run.phase, run.order) != (old.phase, old.order):
        why = f": {run.cause}" if run.cause else ""
        yield Change(kind="end", about="", study=study, text=f"{of}the run {_ENDS[run.phase]}{why}")
    for fate, sites in run.missing.items() if before else ():
        for name, missing in sites.items():
            yield from _compare_missing(study, fate, name, (old.missing.get(fate, {}).get(name), missing))
    for name, alarm in run.alarms.items():
        if alarm != old.alarms.get(name):
            yield Change(kind="alarm", about=name, study=study, text=f"{of}{name} must be looked at: {alarm}")
    for name in sorted(set(old.alarms) - set(run.alarms)):
        yield Change(kind="alarm", about=name, study=study, text=f"{of}{name}: the alarm is over")
    for name, count in run.withdrawn.items():
        if count > old.withdrawn.get(name, 0):
            more = count - old.withdrawn.get(name, 0)
            text = f"{of}{name}: patients of the study who have withdrawn: {count}, {more} of them new"
            yield Change(kind="withdrawn", about=name, study=study, text=text)


def _compare_missing(study: str, fate: str, name: str, pair: tuple[Missing | None, Missing]) -> Iterator[Change]:
    old, now = pair
    earlier = old.rounds if old and old.rounds <= now.rounds else 0  # fewer: another run
    if now.rounds > earlier:
        text = f"{f'study {study}: ' if study else ''}{name} {fate} in {now.where}: {now.reason}"
        yield Change(kind=_FATES[fate], about=name, study=study, text=text, count=now.rounds - earlier)


def _compare_days(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[Change]:
    for name, days in after.items():
        now, old = _find_threshold(days), _find_threshold(before.get(name))
        if now is None or (old is not None and old <= now):
            continue
        when = "has expired" if days < 0 else f"expires in {days} days" if days > 1 else "expires within two days"
        text = f"the certificate of {name} {when}; `ceus-coordinator status` says what to do"
        yield Change(kind="certificate", about=name, text=text)


def _find_threshold(days: int | None) -> int | None:
    """The least threshold that is not passed yet; -1 where it has expired, None where there is time."""
    if days is None:
        return None
    return -1 if days < 0 else next((threshold for threshold in THRESHOLDS_DAYS if days <= threshold), None)


def _compare_addresses(before: Facts | None, after: Facts) -> Iterator[Change]:
    if before and before.address != after.address:
        text = f"the coordinator's address is {after.address}, it was {before.address}"
        yield Change(kind="address", about="", text=text)
    new = sorted(set(after.stale) - set(before.stale if before else ()))
    if new:
        text = f"these sites dial a former address until they have a new kit: {', '.join(new)}"
        yield Change(kind="address", about="kits", text=text)


def _compare_connection(
    name: str, old: tuple[Connection | None, Facts | None], new: tuple[Connection, Facts], gone_after_s: float
) -> Iterator[Change]:
    was, is_now = _is_gone(*old, gone_after_s), _is_gone(*new, gone_after_s)
    if is_now and not was:
        minutes = f"{gone_after_s / 60:.0f} minutes"
        yield Change(kind="gone", about=name, text=f"{name} is gone: not connected for more than {minutes}")
    elif was and not is_now:
        yield Change(kind="gone", about=name, text=f"{name} is back")
    if len(new[0].drops) >= FLAPS and (old[0] is None or len(old[0].drops) < FLAPS):
        text = f"{name} comes and goes: its connection was lost {FLAPS} times within an hour"
        yield Change(kind="gone", about=name, text=text)


def _is_gone(one: Connection | None, facts: Facts | None, gone_after_s: float) -> bool:
    absent = one.absent if one else None
    return absent is not None and facts is not None and elapsed_s(absent, facts.at) > gone_after_s
