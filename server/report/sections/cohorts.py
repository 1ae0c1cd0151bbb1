"""The report's section on cohorts: lesions by type, and Table 1 as it was found."""

from __future__ import annotations

from collections.abc import Mapping

from ceus_models.study.subgroups import SUBGROUPS
from ceus_models.study.taxonomy import BIOMARKERS, COHORTS, LESION_TYPES
from server.report import cells
from server.report import csv_tables as numbers
from server.report.html import Cell, Html, paragraph, section, table, tag
from server.report.reference_study import LESIONS
from server.report.values import COHORT_TITLES, Results, at, cohort_size, known_cohorts, number, support
from server.report.values import section as part

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


def cohorts(results: Results) -> Html:
    """How many lesions of which type each cohort holds, and who they are of."""
    names = known_cohorts(results)
    if not names:
        return Html("")
    rows = []
    for name in names:
        counts = support(results, name)
        numbers_ = [cells.lesions(counts.get(kind)) for kind in LESION_TYPES]
        size = cells.lesions(cohort_size(results, name))
        rows.append([COHORT_TITLES[name], size, *numbers_, _study_size(name)])
    head = ["Cohort", "Lesions", *LESION_TYPES, "Study"]
    note = paragraph("A dash: not given, or below the sites' minimum cell.", "note")
    links = numbers.download(results, "cohorts")
    return section(
        "cohorts", "Cohorts", [table(head, rows, "Labelled lesions by type"), note, _table_one(results), links]
    )


def _study_size(cohort: str) -> Html:
    return Html(f'<td class="study">{LESIONS[cohort]:,}</td>')


def _table_one(results: Results) -> Html:
    names = [name for name in COHORTS if part(results, "table1", name)]
    if not names:
        return Html("")
    rows: list[list[Cell]] = []
    for variable, values in SUBGROUPS.items():
        rows.append([tag("strong", VARIABLE_TITLES[variable]), *([""] * len(names))])
        for value in values:
            found = [number(at(results, "table1", name, variable, value)) for name in names]
            if any(found):
                rows.append(
                    [value, *(_counted(n, results, name, variable) for n, name in zip(found, names, strict=True))]
                )
    rows.append([tag("strong", "Immunohistochemistry"), *([""] * len(names))])
    for marker in BIOMARKERS:
        tested = [number(at(results, "table1", name, "biomarkers", marker)) for name in names]
        rows.append([marker, *(cells.count(None if n is None else int(n)) for n in tested)])
    return table(["", *(COHORT_TITLES[name] for name in names)], rows, "Table 1 as found: lesions and their share")


def _counted(n: float | None, results: Results, name: str, variable: str) -> Cell:
    if n is None:
        return cells.DASH
    total = sum(number(value) or 0 for value in part(results, "table1", name, variable).values())
    return f"{n:,.0f} ({100 * n / total:.0f} %)" if total else cells.DASH
