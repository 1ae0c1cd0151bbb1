"""The report's section on who was counted: the flow of each cohort, and missing values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from ceus_models.study.subgroups import UNKNOWN, VARIABLE_TITLES
from ceus_models.study.taxonomy import CLINICAL_NAMES, COHORTS
from server.report import cells
from server.report.cells import Row
from server.report.figures.flow import flow_figure
from server.report.intake import read_intake
from server.report.values import COHORT_TITLES, READING_TITLES, Results, lookup, section, whole

_FATES: Mapping[str, str] = {"refused": "refused", "excluded": "excluded by screening", "lost": "no answer"}


def flow(results: Results) -> dict[str, Any]:
    """Each declared cohort from its sites to the lesions that were counted."""
    found = section(results, "flow")
    names = [name for name in COHORTS if name in found]
    if not names:
        return {}
    unplaced = read_intake(results, "")
    return {
        "drawings": [flow_figure(name, COHORT_TITLES[name], _steps(results, name)) for name in names],
        "missing": list(_missing(results)),
        "missing_cohorts": [COHORT_TITLES[name] for name in section(results, "missing")],
        "unknown": list(_unknown(results)),
        "unknown_cohorts": [COHORT_TITLES[name] for name in COHORTS if name in section(results, "table1")],
        "unplaced": 0 if unplaced is None else sum(unplaced.unreadable.values()),
    }


def _steps(results: Results, cohort: str) -> list[tuple[str, bool]]:
    """The boxes of a cohort's diagram; see `flow_figure`."""
    one = section(results, "flow", cohort)
    sites, lesions, patients = (_count(whole(one.get(f"{of}s")), of) for of in ("site", "lesion", "patient"))
    declared = f"Declared: {sites}\n{lesions}\nof {patients}"
    steps = [*_list_intake(results, cohort), (declared, False)]
    counted = whole(one.get("counted"))
    if counted is None:
        return [*steps, ("no evaluation yet", True)]
    gone = _list_losses(one)
    if gone:
        steps.append(("Left out:\n" + "\n".join(gone), True))
    steps.append((f"Counted:\n{_count(counted, 'lesion')}", False))
    return [*steps, *_list_readings(results, cohort, counted)]


def _list_intake(results: Results, cohort: str) -> Iterator[tuple[str, bool]]:
    """What was in the hospitals' tables, and what of it is not declared, by reason."""
    intake = read_intake(results, cohort)
    if intake is None:
        yield "In the hospitals' tables:\nnot known to the coordinator", False
        yield "Excluded, or not readable:\neach hospital's ceus-site index counts its own", True
        return
    yield f"In the hospitals' tables:\n{_count(intake.listed, 'lesion')}", False
    for title, reasons in (("Excluded", intake.excluded), ("Not readable", intake.unreadable)):
        if reasons:
            lines = [f"{n} \N{MULTIPLICATION SIGN} {words}" for words, n in reasons.items()]
            yield "\n".join([f"{title}: {_count(sum(reasons.values()), 'lesion')}", *lines]), True
    if intake.look:
        yield f"Not used until a person has looked at the clips: {_count(intake.look, 'lesion')}", True


def _list_losses(one: Mapping[str, Any]) -> list[str]:
    """What was declared and not counted, by reason."""
    gone = []
    for fate, words in _FATES.items():
        if sites := whole(lookup(one, fate, "sites")):
            gone.append(f"{_count(whole(lookup(one, fate, 'lesions')), 'lesion')} of {_count(sites, 'site')}: {words}")
    if held := whole(one.get("held_back")):
        gone.append(f"{_count(held, 'lesion')}: no type or label, or too few of a type at a site")
    return gone


def _list_readings(results: Results, cohort: str, counted: int) -> Iterator[tuple[str, bool]]:
    """Counted lesions that radiologists did not read, and those that they did."""
    readers = section(results, "readers", cohort, "readers")
    read = {
        f"{code}, {title}": n
        for (code, one), (mode, title) in product(readers.items(), READING_TITLES.items())
        if (n := whole(lookup(one, mode, "accuracy", "n"))) is not None
    }
    if not read:
        return
    unread: dict[int, list[str]] = {}
    for reader, n in read.items():
        if n < counted:
            unread.setdefault(counted - n, []).append(reader)
    if unread:
        yield "\n".join(["Unread:", *(f"{_count(n, 'lesion')} by {'; '.join(who)}" for n, who in unread.items())]), True
    low, high = min(read.values()), max(read.values())
    span = cells.format_count(low) if low == high else f"{low:,} to {high:,}"
    yield f"Read by {_count(len(readers), 'radiologist')}:\n{span} lesions each", False


def _count(count: int | None, of: str) -> str:
    return f"{cells.format_count(count)} {of}{'' if count == 1 else 's'}"


def _missing(results: Results) -> Iterator[Row]:
    found = section(results, "missing")
    for variable in CLINICAL_NAMES if found else ():
        row: Row = [variable.replace("_", " ")]
        for cohort in found:
            lesions, known = (whole(lookup(found, cohort, *path)) for path in (("lesions",), ("known", variable)))
            row.append(_share(None if lesions is None or known is None else max(0, lesions - known), lesions))
        yield row


def _unknown(results: Results) -> Iterator[Row]:
    table = section(results, "table1")
    cohorts = [name for name in COHORTS if name in table]
    for variable, title in VARIABLE_TITLES.items():
        row: Row = [title]
        for cohort in cohorts:
            values = section(table, cohort, variable)
            total = sum(whole(n) or 0 for n in values.values())
            row.append(_share(whole(values.get(UNKNOWN)) or 0, total))
        if cohorts:
            yield row


def _share(missing: int | None, lesions: int | None) -> str:
    return f"{missing} ({100 * missing / lesions:.0f} %)" if missing is not None and lesions else cells.DASH
