"""The report's section on modules: the nine sub-models, strategy A against B, and how they learned."""

from __future__ import annotations

from collections.abc import Iterator

from ceus_models.study.taxonomy import BIOMARKER_NETS, STRATEGY_A, STRATEGY_B, SUBMODELS
from server.report import cells
from server.report import csv_tables as numbers
from server.report.figures import training as training_figures
from server.report.html import Cell, Html, figure, grid, paragraph, section, table, tag
from server.report.reference_study import LESIONS, study_auc, study_strategy
from server.report.sections.mcnemar_tables import pairs_table
from server.report.values import CLASSIFIER_TITLES, COHORT_TITLES, METRIC_TITLES, Results, at, estimate, number

_COHORTS = ("training_a", "validation")


def modules(results: Results) -> Html:
    """The sub-models in training A and validation, and how they learned."""
    rows = [row for net in SUBMODELS if at(results, "nets", net) for row in _net_rows(results, net)]
    head = ["Net", "Lesions of", "AUC", "Positive", "Negative", "Sensitivity", "Specificity", "Sensitivity at 0.90"]
    head += ["Brier", "ECE", "Kept round", "Study's AUC"]
    caption = "Sub-models; sensitivity at 0.90: where the specificity is 0.90 or more"
    summary = table(head, rows, caption) if rows else Html("")
    drawings = [figure(training_figures.nets_figure(results, cohort)) for cohort in _COHORTS]
    drawings += [
        figure(training_figures.net_roc_figure(results, module, cohort))
        for cohort in _COHORTS
        for module in ("disease", "biomarker")
    ]
    parts = [summary, grid(drawings), *_strategies(results), *_learning(results)]
    parts.append(numbers.download(results, "modules") if rows else Html(""))
    return section("modules", "Modules", parts)


def _net_rows(results: Results, net: str) -> Iterator[list[Cell]]:
    best = next((at(group, net, "best_round") for group in (at(results, "curves") or {}).values()), None)
    for cohort in _COHORTS:
        found = at(results, "nets", net, cohort)
        if not found:
            continue
        sides = [number(at(found, side)) for side in ("positives", "negatives")]
        ece = number(at(found, "calibration", "ece"))
        yield [
            net,
            COHORT_TITLES[cohort],
            cells.value(estimate(at(found, "auc"))),
            *(cells.DASH if side is None else cells.lesions(int(side)) for side in sides),
            cells.value(estimate(at(found, "sensitivity"))),
            cells.value(estimate(at(found, "specificity"))),
            cells.value(estimate(at(found, "sensitivity_at", "0.90"))),
            cells.value(estimate(at(found, "brier"))),
            cells.DASH if ece is None else f"{ece:.3f}",
            cells.DASH if best is None else str(best),
            cells.published(study_auc(net, cohort) if net in BIOMARKER_NETS else None),
        ]


def _strategies(results: Results) -> Iterator[Html]:
    rows: list[list[Cell]] = []
    for cohort in _COHORTS:
        for net in (STRATEGY_A, STRATEGY_B):
            found = at(results, "nets", net, cohort)
            if found:
                values = [cells.value(estimate(at(found, name))) for name in METRIC_TITLES]
                rows.append([CLASSIFIER_TITLES[net], COHORT_TITLES[cohort], cells.lesions(at(found, "n")), *values])
    if not rows:
        return
    for net in (STRATEGY_A, STRATEGY_B):
        study = [cells.published(study_strategy(net, name)) for name in METRIC_TITLES]
        name = CLASSIFIER_TITLES[net].split(" (")[0].replace("S", "s", 1)
        rows.append([f"Study's {name}", COHORT_TITLES["validation"], str(LESIONS["validation"]), *study])
    yield tag("h3", "Module-Disease: strategy A against strategy B")
    yield table(["", "Lesions of", "n", *METRIC_TITLES.values()], rows, "Five lesion types")
    yield paragraph(
        "Strategy B names the type whose binary net is surest. Training A shows how far each net knows its own lesions "
        "by heart.",
        "note",
    )
    yield pairs_table(results, list(_COHORTS), "Strategy A against B")


def _learning(results: Results) -> Iterator[Html]:
    found = training_figures.curve_groups(results)
    for group in dict.fromkeys(group for group, _ in found):
        nets = [net for other, net in found if other == group]
        curves = grid([figure(training_figures.curve_figure(results, group, net)) for net in nets], "small")
        if curves:
            yield tag("h3", f"Learning curves: {group.replace('submodels', 'sub-models').replace('_', ' ')}")
            yield curves
    if any(net in SUBMODELS for _, net in found):
        yield paragraph(
            "Training: the weighted losses of both streams and their joint answer, added; validation: of the latter.",
            "note",
        )
