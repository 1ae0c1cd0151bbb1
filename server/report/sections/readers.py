"""The report's section on readers, in the shape of the study's Table 2: alone, with the model, and against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ceus_models.study.reader_study import READERS
from ceus_models.study.taxonomy import FUSION_NETS
from server.report import cells
from server.report import csv_tables as numbers
from server.report.figures.plain_data import drawn
from server.report.html import Cell, Html, figure, grid, paragraph, section, table, tag
from server.report.reference_study import study_reader
from server.report.sections.mcnemar_tables import p_cell
from server.report.values import CLASSIFIER_TITLES, COHORT_TITLES, Results, at, estimate, is_simulated, metric
from server.report.values import section as part

_MODES = {"alone": "alone", "assisted": "with the model"}
_ROLES = {"junior": "Junior radiologists", "senior": "Senior radiologists", "mri": "Readers of MRI"}
_HEAD = ["Reader", "n", "Alone", "With the model", "p, alone against with", "p, alone against model"]
_HEAD += ["p, with against model", "Study: alone", "Study: with"]


def readers(results: Results) -> Html:
    """Each cohort that radiologists read."""
    found = part(results, "readers")
    blocks = [block for cohort in COHORT_TITLES if part(found, cohort) for block in _block(results, cohort)]
    if not blocks:
        return Html("")
    text = "p: McNemar's test on the same lesions, as for pairs of models. Alone: before the model's result was seen."
    if is_simulated(results):
        text += (
            " Phantom readers: their diagnoses were drawn at the study's accuracies before any model was trained, also "
            'those "with the model"; they show the analysis, not what this model did for anybody.'
        )
    return section("readers", "Readers", [*blocks, paragraph(text, "note"), numbers.download(results, "readers")])


def _block(results: Results, cohort: str) -> Iterator[Html]:
    net = _net(results, cohort)
    model = metric(results, cohort, net.removeprefix("fusion/"), "accuracy")
    rows = [_row(results, cohort, code, net) for code in READERS if at(results, "readers", cohort, "readers", code)]
    own: list[Cell] = [CLASSIFIER_TITLES.get(net, net), cells.lesions(None if model is None else model.n)]
    rows.append(
        [
            *own,
            cells.value(model),
            *([cells.DASH] * 4),
            cells.published(study_reader("model", 0)),
            cells.published(None),
        ]
    )
    yield tag("h3", COHORT_TITLES[cohort])
    yield table(_HEAD, rows, "Accuracy over six lesion types")
    yield grid([figure(_drawn(results, cohort, net))], "wide")
    yield _roles(results, cohort)


def _net(results: Results, cohort: str) -> str:
    """The fullest model that was asked about the cohort."""
    return next(
        (n for n in reversed(FUSION_NETS) if metric(results, cohort, n.removeprefix("fusion/"), "accuracy")), ""
    )


def _row(results: Results, cohort: str, code: str, net: str) -> list[Cell]:
    raw = at(results, "readers", cohort, "readers", code)
    modes = [estimate(at(raw, mode, "accuracy")) for mode in _MODES]
    size = next((found.n for found in modes if found is not None), None)
    tests = [at(raw, "assistance"), *(at(raw, "against", net, mode) for mode in _MODES)]
    study = [cells.published(study_reader(code, place)) for place in range(2)]
    return [code, cells.lesions(size), *map(cells.value, modes), *map(p_cell, tests), *study]


def _drawn(results: Results, cohort: str, net: str) -> str | None:
    points: list[dict[str, Any]] = []
    for code, role in READERS.items():
        for place, (mode, title) in enumerate(_MODES.items()):
            found = estimate(at(results, "readers", cohort, "readers", code, mode, "accuracy"))
            if found is not None:
                interval = {"value": found.value, "low": found.low, "high": found.high}
                points.append({"group": _ROLES[role], "label": f"{code} {title}", "look": place, **interval})
    if not points:
        return None
    model = metric(results, cohort, net.removeprefix("fusion/"), "accuracy")
    line = None if model is None else {"value": model.value, "label": CLASSIFIER_TITLES.get(net, net)}
    data = {"kind": "intervals", "xlabel": "Accuracy, 95 % interval", "points": points, "line": line}
    return drawn(f"readers-{cohort}", f"Accuracy of readers: {COHORT_TITLES[cohort]}", data)


def _roles(results: Results, cohort: str) -> Html:
    rows: list[list[Cell]] = []
    for role, title in _ROLES.items():
        modes = [estimate(at(results, "readers", cohort, "roles", role, mode, "accuracy")) for mode in _MODES]
        if any(modes):
            reads = next((found.n for found in modes if found is not None), None)
            rows.append([title, cells.count(reads), *map(cells.value, modes)])
    head = ["All readers of a role", "Reads", "Alone", "With the model"]
    return table(head, rows, "By role; intervals are over lesions, however many read each") if rows else Html("")
