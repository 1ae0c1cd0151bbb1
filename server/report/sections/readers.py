"""The report's section on readers, in the shape of the study's Table 2: alone, with the model, and against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ceus_models.study.reader_study import READERS
from ceus_models.study.taxonomy import FUSION_NETS
from server.report import cells
from server.report.cells import Row
from server.report.figures.plain_data import render_figure
from server.report.reference_study import study_reader
from server.report.sections.mcnemar_tables import p_cell
from server.report.values import (
    CLASSIFIER_TITLES,
    COHORT_TITLES,
    Results,
    estimate,
    is_simulated,
    lookup,
    metric,
    section,
    whole,
)

_MODES = {"alone": "alone", "assisted": "with the model"}
_ROLES = {"junior": "Junior radiologists", "senior": "Senior radiologists", "mri": "Readers of MRI"}


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
    }


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
    modes = [estimate(lookup(raw, mode, "accuracy")) for mode in _MODES]
    size = next((found.n for found in modes if found is not None), None)
    tests = [lookup(raw, "assistance"), *(lookup(raw, "against", net, mode) for mode in _MODES)]
    study = [cells.format_reference(study_reader(code, place)) for place in range(2)]
    return [code, cells.format_lesions(size), *map(cells.format_value, modes), *map(p_cell, tests), *study]


def _render_figure(results: Results, cohort: str, net: str) -> str | None:
    points: list[dict[str, Any]] = []
    for code, role in READERS.items():
        for place, (mode, title) in enumerate(_MODES.items()):
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
        modes = [estimate(lookup(results, "readers", cohort, "roles", role, mode, "accuracy")) for mode in _MODES]
        if any(modes):
            reads = next((found.n for found in modes if found is not None), None)
            yield [title, cells.format_count(reads), *map(cells.format_value, modes)]
