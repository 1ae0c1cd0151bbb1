"""The report's sections on outcome: headline, cohorts, modules, and the four models on each test cohort."""

from __future__ import annotations

from collections.abc import Iterator

from ceus_models.taxonomy import FUSION_MODELS, LESION_TYPES, NETS
from server.report import cells, figures, training_figures
from server.report.markup import Cell, Html, details, escaped, figure, grid, joined, paragraph, section, table, tag
from server.report.published import CITATION, LESIONS, study_auc, study_metric
from server.report.values import (
    COHORT_TITLES,
    METRIC_TITLES,
    MODEL_INPUTS,
    SMALL_SUPPORT,
    Estimate,
    Results,
    at,
    cohort_size,
    estimate,
    is_simulated,
    known_cohorts,
    majority,
    metric,
    models_of,
    resolutions,
    support,
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
    bounds = list(resolutions(results))
    if bounds:
        text += f" AUCs are read from summed histograms and are exact within ±{max(bounds):.2g}."
    text += f" Grey: the reference study on real patients ({CITATION})"
    text += "; phantom data are compared with it in kind, not in value." if is_simulated(results) else "."
    return paragraph(text, "note")


def cohorts(results: Results) -> Html:
    """How many lesions of which type each cohort holds."""
    names = known_cohorts(results)
    if not names:
        return Html("")
    rows = []
    for name in names:
        counts = support(results, name)
        numbers = [cells.lesions(counts.get(kind)) for kind in LESION_TYPES]
        size = cells.lesions(cohort_size(results, name))
        rows.append([COHORT_TITLES[name], size, *numbers, _study_size(name)])
    head = ["Cohort", "Lesions", *LESION_TYPES, "Study"]
    note = paragraph("A dash: not given, or below the sites' minimum cell.", "note")
    return section("cohorts", "Cohorts", [table(head, rows, "Labelled lesions by type"), note])


def _study_size(cohort: str) -> Html:
    return Html(f'<td class="study">{LESIONS[cohort]:,}</td>')


def modules(results: Results) -> Html:
    """The sub-models on the validation set, and how they learned."""
    rows = [_net_row(results, net) for net in NETS if at(results, "nets", net)]
    head = ["Net", "AUC", "Positive", "Negative", "Kept round", "Study's AUC"]
    summary = table(head, rows, "Sub-models on the validation set") if rows else Html("")
    drawings = [
        figure(training_figures.nets_figure(results)),
        figure(training_figures.net_roc_figure(results, "disease")),
        figure(training_figures.net_roc_figure(results, "biomarker")),
    ]
    return section("modules", "Modules", [summary, grid(drawings), *_learning(results)])


def _learning(results: Results) -> Iterator[Html]:
    found = training_figures.curve_groups(results)
    for group in dict.fromkeys(group for group, _ in found):
        nets = [net for other, net in found if other == group]
        curves = grid([figure(training_figures.curve_figure(results, group, net)) for net in nets], "small")
        if curves:
            yield tag("h3", f"Learning curves: {group.replace('submodels', 'sub-models')}")
            yield curves


def _net_row(results: Results, net: str) -> list[Cell]:
    found = at(results, "nets", net, "validation")
    best = next((at(group, net, "best_round") for group in (at(results, "curves") or {}).values()), None)
    sides = [at(found, side) for side in ("positives", "negatives")]
    return [
        net,
        cells.value(estimate(at(found, "auc"))),
        *(cells.DASH if side is None else cells.lesions(int(side)) for side in sides),
        cells.DASH if best is None else str(best),
        cells.published(study_auc(net)),
    ]


def models(results: Results) -> Html:
    """The four models: accuracies side by side, then each test cohort in full."""
    names = tested_cohorts(results)
    overview = [figure(figures.accuracy_figure(results))]
    overview += [figure(figures.radar_figure(results, cohort)) for cohort in names]
    note = "Radar: one-vs-rest accuracy of each type, which correct rejections of a rare type raise as well."
    parts = [grid(overview), paragraph(note, "note") if len(overview) > 1 else Html("")]
    return section("models", "Four models on the test cohorts", [*parts, *_cohort_blocks(results, names)])


def _cohort_blocks(results: Results, names: list[str]) -> Iterator[Html]:
    for cohort in names:
        present = models_of(results, cohort)
        last = present[-1]
        yield tag("h3", f"{COHORT_TITLES[cohort]} ({cells.lesions(cohort_size(results, cohort))} lesions)")
        yield table(["", *METRIC_TITLES.values()], _metric_rows(results, cohort), "All metrics")
        types = table(_TYPE_HEAD, _type_rows(results, cohort, last), f"By lesion type, model {last}")
        yield grid([*_pair(results, cohort, last), types])
        others = joined(grid(_pair(results, cohort, model)) for model in present[:-1])
        yield details(f"Models {', '.join(present[:-1])} on {COHORT_TITLES[cohort]}", others)


_TYPE_HEAD = ["Type", "Lesions", "Recall", "AUC", "One-vs-rest accuracy"]
_TYPE_METRICS = ("recall", "auc", "one_vs_rest_accuracy")


def _pair(results: Results, cohort: str, model: str) -> list[Html]:
    confusion = figures.confusion_figure(results, cohort, model)
    return [figure(confusion), figure(figures.roc_figure(results, cohort, model))]


def _metric_rows(results: Results, cohort: str) -> Iterator[list[Cell]]:
    for model in models_of(results, cohort):
        yield [
            f"Model {model}",
            *(cells.value(metric(results, cohort, model, name)) for name in METRIC_TITLES),
        ]
    study: list[Estimate | None] = [study_metric(cohort, "DCB", name) for name in METRIC_TITLES]
    if any(study):
        yield ["Study's DCB", *(cells.published(item) for item in study)]


def _type_rows(results: Results, cohort: str, model: str) -> Iterator[list[Cell]]:
    counts = support(results, cohort)
    for kind in LESION_TYPES:
        found = [metric(results, cohort, model, name, kind) for name in _TYPE_METRICS]
        yield [kind, cells.lesions(counts.get(kind)), *(cells.value(item) for item in found)]
