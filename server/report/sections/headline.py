"""The report's first sections: the result in a sentence and a table, and the four models beside each other."""

from __future__ import annotations

from ceus_models.study.taxonomy import FUSION_MODELS
from server.report import cells
from server.report import csv_tables as numbers
from server.report.figures import model_figures as figures
from server.report.html import Cell, Html, escaped, figure, grid, paragraph, section, table
from server.report.reference_study import CITATION, study_metric
from server.report.sections.mcnemar_tables import pairs_table
from server.report.values import (
    COHORT_TITLES,
    MODEL_INPUTS,
    SMALL_SUPPORT,
    Results,
    cohort_size,
    is_simulated,
    majority,
    metric,
    models_of,
    resolutions,
    tested_cohorts,
)


def headline(results: Results) -> Html:
    """Who classified what how well, in a sentence and a table."""
    cohorts = tested_cohorts(results)
    if not cohorts:
        return Html("")
    head = ["Test cohort", *FUSION_MODELS, "Study's DCB"]
    rows = [_headline_row(results, cohort) for cohort in cohorts]
    return section(
        "headline",
        "Result",
        [
            _sentence(results, cohorts[-1]),
            table(head, rows, "Accuracy over six lesion types; under each cohort its size and commonest type"),
            _reading_note(results),
        ],
    )


def _sentence(results: Results, cohort: str) -> Html:
    model = models_of(results, cohort)[-1]
    found = metric(results, cohort, model, "accuracy")
    if found is None:
        return Html("")
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
    return paragraph(text + ".", "lead")


def _headline_row(results: Results, cohort: str) -> list[Cell]:
    found = {model: metric(results, cohort, model, "accuracy") for model in FUSION_MODELS}
    best = max((item.value for item in found.values() if item is not None), default=None)
    return [
        Html(f"{COHORT_TITLES[cohort]}<small>{escaped(_who(results, cohort))}</small>"),
        *(cells.value(item, "best" if item and item.value == best else "") for item in found.values()),
        cells.published(study_metric(cohort, "DCB", "accuracy")),
    ]


def _who(results: Results, cohort: str) -> str:
    text = f"{cells.lesions(cohort_size(results, cohort))} lesions"
    commonest = majority(results, cohort)
    return text if commonest is None else f"{text}, {commonest[0]} {100 * commonest[1]:.0f} %"


def _reading_note(results: Results) -> Html:
    models = "; ".join(f"{model}: {inputs}" for model, inputs in MODEL_INPUTS.items())
    text = f"{models}. Below each value: its 95 % interval (Poisson bootstrap)."
    text += f" † fewer than {SMALL_SUPPORT} lesions."
    if any(True for _ in resolutions(results)):
        text += f" AUCs are read from summed histograms: exact within ±{cells.COARSE}, or within the ± below."
    text += f" Grey: the reference study on real patients ({CITATION})"
    text += "; phantom data are compared with it in kind, not in value." if is_simulated(results) else "."
    return paragraph(text, "note")


def models(results: Results) -> Html:
    """The four models side by side, and tested against each other."""
    names = tested_cohorts(results)
    overview = [figure(figures.accuracy_figure(results))]
    overview += [figure(figures.radar_figure(results, cohort)) for cohort in names]
    note = "Radar: one-vs-rest accuracy of each type, which correct rejections of a rare type raise as well."
    pairs = pairs_table(results, [*names, "all_tests"], "Models against each other")
    parts = [grid(overview), paragraph(note, "note") if len(overview) > 1 else Html(""), pairs]
    return section("models", "Four models", [*parts, numbers.download(results, "models", "pairs")])
