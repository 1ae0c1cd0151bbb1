"""The report's section on cohorts: lesions by type, and Table 1 as it was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ceus_models.study.subgroups import SUBGROUPS, UNKNOWN, VARIABLE_TITLES
from ceus_models.study.taxonomy import BIOMARKERS, COHORTS, LESION_TYPES
from server.report import cells
from server.report.cells import Cell, Row
from server.report.reference_study import LESIONS
from server.report.sections.mcnemar_tables import p_cell
from server.report.values import (
    COHORT_TITLES,
    Results,
    cohort_size,
    known_cohorts,
    lookup,
    number,
    section,
    support,
    whole,
)


def cohorts(results: Results) -> dict[str, Any]:
    """How many lesions of which type each cohort holds, and who they are of."""
    known = known_cohorts(results)
    described = [name for name in COHORTS if section(results, "table1", name)]
    if not known:
        return {}
    return {
        "types": list(LESION_TYPES),
        "sizes": [_sizes(results, name) for name in known],
        "cohorts": [COHORT_TITLES[name] for name in described],
        "table_one": [*_count_rows(results, described), *_table_one(results, described)] if described else [],
        "tests": next((whole(one.get("tests")) for one in section(results, "table1_tests").values()), None),
    }


def _sizes(results: Results, cohort: str) -> Row:
    counts = support(results, cohort)
    types = [cells.format_lesions(counts.get(kind)) for kind in LESION_TYPES]
    study = Cell(f"{LESIONS[cohort]:,}", kind="study")
    return [COHORT_TITLES[cohort], cells.format_lesions(cohort_size(results, cohort)), *types, study]


def _count_rows(results: Results, cohorts: list[str]) -> Iterator[Row]:
    """Centers, patients and lesions as declared, the makers of their devices, and lesions by type."""
    for title, key in (("Centers", "sites"), ("Patients", "patients"), ("Lesions declared", "lesions")):
        counts = [whole(lookup(results, "flow", name, key)) for name in cohorts]
        if any(counts):
            yield [title, *map(cells.format_count, counts), ""]
    makers = [_count_makers(section(results, "table1", name, "manufacturer")) for name in cohorts]
    if any(makers):
        yield ["Makers of scanners", *map(cells.format_count, makers), ""]
    yield [Cell("Lesion type", kind="strong"), *[""] * len(cohorts), _format_test(results, "fll_type")]
    counted = {name: support(results, name) for name in cohorts}
    for kind in LESION_TYPES:
        found = [(counts.get(kind), sum(counts.values())) for counts in counted.values()]
        yield [kind, *(cells.DASH if n is None or not of else f"{n:,} ({100 * n / of:.0f} %)" for n, of in found), ""]


def _count_makers(counts: Mapping[str, Any]) -> int | None:
    return sum(bool(number(n)) for name, n in counts.items() if name != UNKNOWN) or None


def _format_test(results: Results, variable: str) -> Cell:
    """The p of the difference between cohorts, with that by Holm; marked where the test is rough."""
    found = section(results, "table1_tests", variable)
    cell = p_cell(found)
    return replace(cell, text=f"{cell.text}‡") if found.get("rough") else cell


def _table_one(results: Results, cohorts: list[str]) -> Iterator[Row]:
    none = [""] * len(cohorts)
    for variable, values in SUBGROUPS.items():
        yield [Cell(VARIABLE_TITLES[variable], kind="strong"), *none, _format_test(results, variable)]
        for value in values:
            found = [number(lookup(results, "table1", name, variable, value)) for name in cohorts]
            if any(found):
                yield [value, *(_share(n, results, name, variable) for n, name in zip(found, cohorts, strict=True)), ""]
    yield [Cell("Immunohistochemistry", kind="strong"), *none, ""]
    for marker in BIOMARKERS:
        tested = [whole(lookup(results, "table1", name, "biomarkers", marker)) for name in cohorts]
        yield [marker, *map(cells.format_count, tested), ""]


def _share(n: float | None, results: Results, name: str, variable: str) -> str:
    if n is None:
        return cells.DASH
    total = sum(number(value) or 0 for value in section(results, "table1", name, variable).values())
    return f"{n:,.0f} ({100 * n / total:.0f} %)" if total else cells.DASH
