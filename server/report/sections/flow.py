"""The report's section on who was counted: the flow of each cohort, lesions without a reading, and missing values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from ceus_models.study.subgroups import UNKNOWN
from ceus_models.study.taxonomy import CLINICAL_NAMES, COHORTS
from server.report import cells
from server.report.cells import Row
from server.report.figures.flow import flow_figure
from server.report.sections.cohorts import VARIABLE_TITLES
from server.report.values import COHORT_TITLES, Results, count_items, lookup, section, whole

_FATES: Mapping[str, str] = {"refused": "refused", "excluded": "excluded by screening", "lost": "no answer"}
_MODES: Mapping[str, str] = {"alone": "alone", "assisted": "with the model"}


def flow(results: Results) -> dict[str, Any]:
    """Each declared cohort from its sites to the lesions that were counted."""
    found = section(results, "flow")
    names = [name for name in COHORTS if name in found]
    if not names:
        return {}
    skipped = section(results, "skipped")
    return {
        "drawings": [flow_figure(name, COHORT_TITLES[name], _steps(found[name])) for name in names],
        "unread": list(_unread(results, names)),
        "missing": list(_missing(results)),
        "missing_cohorts": [COHORT_TITLES[name] for name in section(results, "missing")],
        "unknown": list(_unknown(results)),
        "unknown_cohorts": [COHORT_TITLES[name] for name in COHORTS if name in section(results, "table1")],
        "excluded": [[reason, str(count_items(count))] for reason, count in section(results, "excluded").items()],
        "skipped": sum(count_items(count) for count in skipped.values()) if "skipped" in results else None,
    }


def _steps(one: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """The boxes of a cohort's diagram; see `flow_figure`."""
    lesions, patients = (cells.format_count(whole(one.get(key))) for key in ("lesions", "patients"))
    steps = [(f"Declared: {_name_sites(whole(one.get('sites')))}\n{lesions} lesions\nof {patients} patients", False)]
    counted = whole(one.get("counted"))
    if counted is None:
        return [*steps, ("no evaluation yet", True)]
    gone = []
    for fate, words in _FATES.items():
        if sites := whole(lookup(one, fate, "sites")):
            lesions = cells.format_count(whole(lookup(one, fate, "lesions")))
            gone.append(f"{words}: {lesions} lesions\nof {_name_sites(sites)}")
    if held := whole(one.get("held_back")):
        gone.append(f"not counted: {held} lesions\n(no type or label, or too\nfew of a type at a site)")
    last = f"Counted:\n{cells.format_count(counted)} lesions"
    return [*steps, ("\n".join(gone) or "left out: none", True), (last, False)]


def _name_sites(count: int | None) -> str:
    return "1 site" if count == 1 else f"{cells.format_count(count)} sites"


def _unread(results: Results, cohorts: list[str]) -> Iterator[Row]:
    """Lesions that each reader read, and those counted that it did not."""
    for name in cohorts:
        counted = whole(lookup(results, "flow", name, "counted"))
        readers = section(results, "readers", name, "readers")
        for (code, one), (mode, title) in product(readers.items(), _MODES.items()):
            read = whole(lookup(one, mode, "accuracy", "n"))
            if read is not None and counted is not None:
                yield [COHORT_TITLES[name], f"{code}, {title}", str(read), str(max(0, counted - read))]


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
