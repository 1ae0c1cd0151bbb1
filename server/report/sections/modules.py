"""The report's section on modules: the nine sub-models, strategy A against B, and how they learned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ceus_models.study.taxonomy import BIOMARKER_NETS, DISEASE_NETS, STRATEGY_A, STRATEGY_B, SUBMODELS
from server.report import cells
from server.report.cells import Row
from server.report.figures import training
from server.report.reference_study import LESIONS, study_auc, study_strategy
from server.report.sections.mcnemar_tables import count_tests, pair_rows
from server.report.values import (
    CLASSIFIER_TITLES,
    COHORT_TITLES,
    METRIC_TITLES,
    Results,
    estimate,
    lookup,
    number,
    section,
    short_title,
    whole,
)

_COHORTS = ("training_a", "validation")
_STRATEGIES = (STRATEGY_A, STRATEGY_B)


def modules(results: Results) -> dict[str, Any]:
    """The sub-models in training A and validation, and how they learned."""
    drawings = [training.nets_figure(results, cohort) for cohort in _COHORTS]
    drawings += [
        training.net_roc_figure(results, module, cohort) for cohort in _COHORTS for module in ("disease", "biomarker")
    ]
    curves = training.curve_groups(results)
    return {
        "rows": [row for net in SUBMODELS if lookup(results, "nets", net) for row in _net_rows(results, net)],
        "drawings": drawings,
        "metrics": list(METRIC_TITLES.values()),
        "strategies": _strategies(results),
        "pairs": pair_rows(results, list(_COHORTS)),
        "tests": count_tests(results, list(_COHORTS)),
        "chosen_on": [COHORT_TITLES[c].lower() for c in section(results, "chosen_on") if c in COHORT_TITLES],
        "learning": {
            group.replace("submodels", "sub-models").replace("_", " "): [
                training.curve_figure(results, group, net) for other, net in curves if other == group
            ]
            for group in dict.fromkeys(group for group, _ in curves)
        },
        "submodels_learned": any(net in SUBMODELS for _, net in curves),
    }


def _net_rows(results: Results, net: str) -> Iterator[Row]:
    best = next((lookup(group, net, "best_round") for group in (lookup(results, "curves") or {}).values()), None)
    for cohort in _COHORTS:
        found = lookup(results, "nets", net, cohort)
        if not found:
            continue
        paths = (("sensitivity",), ("specificity",), ("sensitivity_at", "0.90"), ("brier",))
        yield [
            net,
            _title(results, net, cohort),
            cells.format_value(estimate(lookup(found, "auc"))),
            *(cells.format_lesions(whole(lookup(found, side))) for side in ("positives", "negatives")),
            *(cells.format_value(estimate(lookup(found, *path))) for path in paths),
            cells.format_decimal(number(lookup(found, "calibration", "ece"))),
            cells.DASH if best is None else str(best),
            cells.format_reference(study_auc(net, cohort) if net in BIOMARKER_NETS else None),
        ]


def _title(results: Results, net: str, cohort: str) -> str:
    """The cohort, marked where the net's round was chosen on it; strategy B is made of the five disease nets."""
    chosen = set(lookup(results, "chosen_on", cohort) or ())
    parts = set(DISEASE_NETS) if net == STRATEGY_B else {net}
    return COHORT_TITLES[cohort] + (" ‡" if parts & chosen else "")


def _strategies(results: Results) -> list[Row]:
    """Strategy A and B on the cohorts, and below them the study's; none where neither was asked."""
    rows: list[Row] = []
    for cohort in _COHORTS:
        for net in _STRATEGIES:
            found = lookup(results, "nets", net, cohort)
            if found:
                values = [cells.format_value(estimate(lookup(found, name))) for name in METRIC_TITLES]
                rows.append(
                    [
                        CLASSIFIER_TITLES[net],
                        _title(results, net, cohort),
                        cells.format_lesions(lookup(found, "n")),
                        *values,
                    ]
                )
    if not rows:
        return []
    for net in _STRATEGIES:
        study = [cells.format_reference(study_strategy(net, name)) for name in METRIC_TITLES]
        name = short_title(net).replace("S", "s", 1)
        rows.append([f"Study's {name}", COHORT_TITLES["validation"], str(LESIONS["validation"]), *study])
    return rows
