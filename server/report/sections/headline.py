"""The report's first sections: the result in a sentence and a table, and the four models beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ceus_models.study.taxonomy import FUSION_MODELS
from server.report import cells
from server.report.cells import Cell, Row
from server.report.figures import model_figures
from server.report.reference_study import CITATION, study_metric, study_range
from server.report.sections.mcnemar_tables import count_tests, pair_rows
from server.report.values import (
    COHORT_TITLES,
    METRIC_TITLES,
    MODEL_INPUTS,
    SMALL_SUPPORT,
    TOO_COARSE,
    Estimate,
    Results,
    cohort_size,
    is_simulated,
    lookup,
    majority,
    metric,
    models_of,
    number,
    resolutions,
    section,
    tested_cohorts,
)


def headline(results: Results) -> dict[str, Any]:
    """Who classified what how well, in a sentence and a table."""
    cohorts = tested_cohorts(results)
    if not cohorts:
        return {}
    return {
        "sentence": _sentence(results, cohorts[-1]),
        "models": list(FUSION_MODELS),
        "rows": [row for cohort in cohorts for row in (_headline_row(results, cohort), _study_row(cohort))],
        "inputs": MODEL_INPUTS,
        "few": SMALL_SUPPORT,
        "too_coarse": TOO_COARSE,
        "design": _describe_design(results),
        "coarse": cells.COARSE if any(True for _ in resolutions(results)) else None,
        "citation": CITATION,
        "simulated": is_simulated(results),
    }


def _sentence(results: Results, cohort: str) -> str:
    model = models_of(results, cohort)[-1]
    found = metric(results, cohort, model, "accuracy")
    if found is None:
        return ""
    size = cohort_size(results, cohort)
    text = (
        f"Model {model} ({MODEL_INPUTS[model]}) named the right one of six lesion types for "
        f"{100 * found.value:.1f} % of the {size or '?'} lesions of {COHORT_TITLES[cohort].lower()[:-1]}"
        f"{COHORT_TITLES[cohort][-1]}"
    )
    if found.low is not None and found.high is not None:
        text += f" (95 % interval {100 * found.low:.1f} to {100 * found.high:.1f} %)"
    commonest = majority(results, cohort)
    if commonest is not None:
        text += f"; always answering {commonest[0]} would be right in {100 * commonest[1]:.1f} %"
    return text.replace(" %", "\N{NO-BREAK SPACE}%") + "."


def _describe_design(results: Results) -> str:
    """By how much patients with several lesions widen the intervals, cohort by cohort."""
    found = section(results, "design")
    effects = {name: number(lookup(found, name, "effect")) for name in COHORT_TITLES if name in found}
    said = [f"{COHORT_TITLES[name]} {effect:.2f}" for name, effect in effects.items() if effect is not None]
    correlation = next((number(lookup(found, name, "correlation")) for name in effects), None)
    if not said or correlation is None:
        return ""
    return (
        "Patients with several lesions: variances are larger by the design effect "
        f"({', '.join(said)}), worked out from the lesions and patients of each cohort for a correlation of "
        f"{correlation:g} between answers of one patient, which is assumed."
    )


def _headline_row(results: Results, cohort: str) -> Row:
    found = {model: metric(results, cohort, model, "accuracy") for model in FUSION_MODELS}
    best = _find_best(found)
    return [
        Cell(COHORT_TITLES[cohort], (_who(results, cohort),)),
        *(cells.format_value(item, "strong" if model == best else "") for model, item in found.items()),
    ]


def _study_row(cohort: str) -> Row:
    """The study's accuracies on a cohort, as far as it gives them."""
    found = [cells.format_reference(study_metric(cohort, model, "accuracy")) for model in FUSION_MODELS]
    return [Cell("of the study", kind="study"), *found]


def _find_best(found: Mapping[str, Estimate | None]) -> str | None:
    """The model with the highest value; none where another is as high."""
    values = {model: item.value for model, item in found.items() if item is not None}
    best = [model for model, value in values.items() if value == max(values.values())]
    return best[0] if len(best) == 1 < len(values) else None


def _who(results: Results, cohort: str) -> str:
    text = f"{cells.format_lesions(cohort_size(results, cohort))} lesions"
    commonest = majority(results, cohort)
    return text if commonest is None else f"{text}, {commonest[0]} {100 * commonest[1]:.0f} %"


def models(results: Results) -> dict[str, Any]:
    """The four models side by side, and tested against each other."""
    names = tested_cohorts(results)
    return {
        "accuracy": model_figures.accuracy_figure(results),
        "radars": [model_figures.radar_figure(results, cohort) for cohort in names],
        "pairs": pair_rows(results, [*names, "all_tests"]),
        "tests": count_tests(results, [*names, "all_tests"]),
        "ranges": _list_ranges(results, names),
    }


def _list_ranges(results: Results, cohorts: list[str]) -> list[Row]:
    """Lowest and highest of each metric of DCB over the test sets, ours and the study's."""
    rows: list[Row] = []
    for name, title in METRIC_TITLES.items():
        known = [found.value for cohort in cohorts if (found := metric(results, cohort, "DCB", name)) is not None]
        low, high = study_range(name)
        if known:
            study = Cell(f"{low:.2f}{cells.DASH}{high:.2f}", kind="study")
            rows.append([title, f"{min(known):.3f}{cells.DASH}{max(known):.3f}", str(len(known)), study])
    return rows
