"""The report's section on readers, in the shape of the study's Table 2: alone, with the model, and against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.study.reader_study import READERS
from ceus_models.study.taxonomy import FUSION_NETS
from server.report import cells
from server.report.cells import Cell, Row
from server.report.figures.plain_data import render_figure
from server.report.reference_study import study_reader
from server.report.sections.mcnemar_tables import format_equivalence, p_cell, p_cells
from server.report.values import (
    CLASSIFIER_TITLES,
    COHORT_TITLES,
    READING_TITLES,
    Estimate,
    Results,
    estimate,
    is_simulated,
    lookup,
    metric,
    number,
    section,
    whole,
)
from server.results.uncertainty.equivalence import MARGIN

_ROLES = {"junior": "Junior radiologists", "senior": "Senior radiologists", "mri": "Readers of MRI"}
_GROUPS = {**_ROLES, "ceus": "All radiologists on CEUS"}


def readers(results: Results) -> dict[str, Any]:
    """Each cohort that radiologists read."""
    cohorts = [_cohort(results, cohort) for cohort in COHORT_TITLES if section(results, "readers", cohort)]
    return {"cohorts": cohorts, "simulated": is_simulated(results)} if cohorts else {}


def _cohort(results: Results, cohort: str) -> dict[str, Any]:
    net = _net(results, cohort)
    model = metric(results, cohort, net.removeprefix("fusion/"), "accuracy")
    rows = [_row(results, cohort, code, net) for code in READERS if lookup(results, "readers", cohort, "readers", code)]
    own = [
        CLASSIFIER_TITLES.get(net, net),
        cells.format_lesions(None if model is None else model.n),
        cells.format_value(model),
    ]
    study = [cells.format_reference(study_reader("model", 0)), cells.format_reference(None)]
    return {
        "title": COHORT_TITLES[cohort],
        "rows": [*rows, [*own, *[cells.DASH] * 4, *study]],
        "drawing": _render_figure(results, cohort, net),
        "roles": list(_roles(results, cohort)),
        "tests": _count_tests(results, cohort),
        "beside": list(_beside_rows(results, cohort, net)),
        "multi_reader": list(_multi_reader_rows(results, cohort, net)),
        "effort": list(_effort_rows(results, cohort)),
        "margin": MARGIN,
    }


def _beside_rows(results: Results, cohort: str, net: str) -> Iterator[Row]:
    """The model minus each reader alone: difference, equivalence and non-inferiority."""
    for code in READERS:
        tested = section(results, "readers", cohort, "readers", code, "against", net, "alone")
        if tested:
            verdict = section(tested, "equivalence")
            found = [cells.format_difference(estimate(tested.get("difference"))), format_equivalence(verdict)]
            n = cells.format_lesions(whole(tested.get("n")))
            yield [code, n, *found, _format_verdict(verdict.get("non_inferior")), *p_cells(tested)]


def _multi_reader_rows(results: Results, cohort: str, net: str) -> Iterator[Row]:
    """What holds of readers like these on lesions like these, and of these very readers."""
    for group, title in _GROUPS.items():
        entry = section(results, "readers", cohort, "multi_reader", group)
        against = section(entry, "against", net)
        for name, raw in (
            ("with the model minus alone", entry.get("assistance")),
            ("model minus readers alone", against.get("alone")),
            ("model minus readers with it", against.get("assisted")),
        ):
            found = estimate(raw)
            if found is not None:
                fixed = estimate({**section(raw, "fixed"), "value": found.value})
                sides = [cells.format_difference(one) for one in (found, fixed)]
                size = [str(lookup(raw, "readers")), cells.format_lesions(found.n)]
                verdict = cells.NONE if raw is entry.get("assistance") else _format_verdict(lookup(raw, "non_inferior"))
                yield [title, name, *size, *sides, verdict, p_cell(raw)]


def _format_verdict(non_inferior: object) -> Cell:
    return cells.NONE if non_inferior is None else Cell("yes", kind="strong") if non_inferior else Cell("not shown")


def _effort_rows(results: Results, cohort: str) -> Iterator[Row]:
    """Seconds and confidence of each reader; of a role the seconds alone."""
    names = [("readers", code, code) for code in READERS] + [("roles", role, title) for role, title in _ROLES.items()]
    for kind, name, title in names:
        raw = section(results, "readers", cohort, kind, name)
        seconds = [_format_number(estimate(lookup(raw, mode, "seconds")), ".0f") for mode in READING_TITLES]
        ratio = _format_number(estimate(raw.get("seconds_ratio")), ".2f")
        sure = [_format_confidence(section(raw, mode, "confidence")) for mode in READING_TITLES]
        areas = [cells.format_value(estimate(lookup(raw, mode, "confidence", "auc"))) for mode in READING_TITLES]
        row = [*seconds, ratio, *sure, *areas]
        if any(cell != cells.NONE for cell in row):
            yield [title, *row]


def _format_number(found: Estimate | None, form: str) -> Cell:
    return cells.NONE if found is None else Cell(f"{found.value:{form}}", cells.format_interval(found, form))


def _format_confidence(found: Mapping[str, Any]) -> Cell:
    """The mean, and below it those of wrong and of right diagnoses."""
    mean, wrong, right = (number(found.get(key)) for key in ("mean", "mean_wrong", "mean_right"))
    if mean is None:
        return cells.NONE
    return Cell(f"{mean:.2f}", (f"{cells.format_decimal(wrong, '.2f')} / {cells.format_decimal(right, '.2f')}",))


def _count_tests(results: Results, cohort: str) -> int | None:
    """Of how many tests of the cohort's readers each p is one."""
    entries = section(results, "readers", cohort, "readers").values()
    counts = [whole(lookup(one, "against", *path, "tests")) for one in entries for path in _list_paths(one)]
    return next((count for count in counts if count is not None), None)


def _list_paths(entry: Any) -> list[tuple[str, str]]:
    return [(net, mode) for net, modes in section(entry, "against").items() for mode in modes]


def _net(results: Results, cohort: str) -> str:
    """The fullest model that was asked about the cohort."""
    return next(
        (n for n in reversed(FUSION_NETS) if metric(results, cohort, n.removeprefix("fusion/"), "accuracy")), ""
    )


def _row(results: Results, cohort: str, code: str, net: str) -> Row:
    raw = lookup(results, "readers", cohort, "readers", code)
    modes = [estimate(lookup(raw, mode, "accuracy")) for mode in READING_TITLES]
    size = next((found.n for found in modes if found is not None), None)
    tests = [lookup(raw, "assistance"), *(lookup(raw, "against", net, mode) for mode in READING_TITLES)]
    study = [cells.format_reference(study_reader(code, place)) for place in range(2)]
    return [code, cells.format_lesions(size), *map(cells.format_value, modes), *map(p_cell, tests), *study]


def _render_figure(results: Results, cohort: str, net: str) -> str | None:
    points: list[dict[str, Any]] = []
    for code, role in READERS.items():
        for place, (mode, title) in enumerate(READING_TITLES.items()):
            found = estimate(lookup(results, "readers", cohort, "readers", code, mode, "accuracy"))
            if found is not None:
                interval = {"value": found.value, "low": found.low, "high": found.high}
                points.append({"group": _ROLES[role], "label": f"{code} {title}", "look": place, **interval})
    if not points:
        return None
    model = metric(results, cohort, net.removeprefix("fusion/"), "accuracy")
    line = None if model is None else {"value": model.value, "label": CLASSIFIER_TITLES.get(net, net)}
    data = {"kind": "intervals", "xlabel": "Accuracy, 95 % interval", "points": points, "line": line}
    return render_figure(f"readers-{cohort}", f"Accuracy of readers: {COHORT_TITLES[cohort]}", data)


def _roles(results: Results, cohort: str) -> Iterator[Row]:
    for role, title in _ROLES.items():
        modes = [
            estimate(lookup(results, "readers", cohort, "roles", role, mode, "accuracy")) for mode in READING_TITLES
        ]
        if any(modes):
            reads = next((found.n for found in modes if found is not None), None)
            yield [title, cells.format_count(reads), *map(cells.format_value, modes)]
