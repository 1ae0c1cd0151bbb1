"""The report's section on cohorts: lesions by type, and Table 1 as it was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.study.subgroups import SUBGROUPS
from ceus_models.study.taxonomy import BIOMARKERS, COHORTS, LESION_TYPES
from server.report import cells
from server.report.cells import Cell, Row
from server.report.reference_study import LESIONS
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

VARIABLE_TITLES: Mapping[str, str] = {
    "sex": "Sex",
    "age": "Age, years",
    "tumor_size": "Tumour size, cm",
    "etiology": "Viral hepatitis",
    "cirrhosis": "Cirrhosis",
    "fatty_liver": "Fatty liver",
    "manufacturer": "Manufacturer",
    "pathology_confirmed": "Confirmed by pathology",
    "malignancy_history": "History of malignancy",
}


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
        "table_one": list(_table_one(results, described)) if described else [],
    }


def _sizes(results: Results, cohort: str) -> Row:
    counts = support(results, cohort)
    types = [cells.format_lesions(counts.get(kind)) for kind in LESION_TYPES]
    study = Cell(f"{LESIONS[cohort]:,}", kind="study")
    return [COHORT_TITLES[cohort], cells.format_lesions(cohort_size(results, cohort)), *types, study]


def _table_one(results: Results, cohorts: list[str]) -> Iterator[Row]:
    none = [""] * len(cohorts)
    for variable, values in SUBGROUPS.items():
        yield [Cell(VARIABLE_TITLES[variable], kind="strong"), *none]
        for value in values:
            found = [number(lookup(results, "table1", name, variable, value)) for name in cohorts]
            if any(found):
                yield [value, *(_share(n, results, name, variable) for n, name in zip(found, cohorts, strict=True))]
    yield [Cell("Immunohistochemistry", kind="strong"), *none]
    for marker in BIOMARKERS:
        tested = [whole(lookup(results, "table1", name, "biomarkers", marker)) for name in cohorts]
        yield [marker, *map(cells.format_count, tested)]


def _share(n: float | None, results: Results, name: str, variable: str) -> str:
    if n is None:
        return cells.DASH
    total = sum(number(value) or 0 for value in section(results, "table1", name, variable).values())
    return f"{n:,.0f} ({100 * n / total:.0f} %)" if total else cells.DASH
