"""Figures of the finished models: ROC, confusion matrices, the six-type radar, accuracies with intervals.

Each function takes the results, returns SVG text, or None where the results hold nothing to draw. Panels are
small and separate, so that the page can lay them side by side or one below the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from ceus_models.figures.canvas import Frame, render_svg
from ceus_models.figures.palette import FAINT, INK, MODEL_LOOKS, TYPE_LOOKS, Look
from ceus_models.study.taxonomy import FUSION_MODELS, LESION_TYPES
from server.report.figures.panels import (
    SQUARE,
    add_unit_square,
    draw_cells,
    draw_interval,
    ink_on,
    label_rows,
    legend_below,
    thin_curve,
    write_missing,
)
from server.report.values import (
    COHORT_TITLES,
    Results,
    lookup,
    majority,
    metric,
    models_of,
    number,
    section,
    tested_cohorts,
)

MACRO = Look(INK, "-", "")


def roc_figure(results: Results, cohort: str, model: str) -> str | None:
    """One-vs-rest ROC of each lesion type and their macro average, for one model on one cohort."""
    curves = section(results, "cohorts", cohort, "models", model, "roc")
    drawn = [(name, TYPE_LOOKS[name], curves.get(name)) for name in LESION_TYPES]
    drawn.append(("macro", MACRO, curves.get("macro")))
    labels = {name: _format_label(name, results, cohort, model) for name, _, _ in drawn}
    title = f"{COHORT_TITLES[cohort]}, model {model}"
    return roc_panel(f"roc-{cohort}-{model}".replace("_", "-"), title, drawn, labels)


def _format_label(name: str, results: Results, cohort: str, model: str) -> str:
    found = metric(results, cohort, model, *(("macro_auc",) if name == "macro" else ("auc", name)))
    return name if found is None else f"{name}  {found.value:.3f}"


def roc_panel(name: str, title: str, curves: Sequence[tuple[str, Look, Any]], labels: Mapping[str, str]) -> str | None:
    """ROC curves `(name, look, {fpr, tpr})` in one square panel; None if none of them has points."""
    drawable = [(key, style, roc) for key, style, roc in curves if _has_points(roc)]
    if not drawable:
        return None

    def draw(figure: Figure) -> None:
        axes = add_unit_square(figure, title, "1 - specificity", "Sensitivity")
        for place, (key, style, roc) in enumerate(drawable):
            x, y = thin_curve(roc["fpr"], roc["tpr"])
            width = 2.2 if key == "macro" else 1.4
            (line,) = axes.plot(x, y, color=style.colour, linestyle=style.line, linewidth=width)
            line.set(gid=f"roc-{key}", label=labels[key], marker=style.marker or "none")
            line.set_markevery((2 * place + 3, max(1, len(x) // 5)))  # shifted, so that they do not pile up
        legend_below(axes, "AUC")

    return render_svg(name, f"ROC curves: {title}", SQUARE, draw)


def _has_points(roc: Any) -> bool:
    if not isinstance(roc, Mapping) or not roc.get("fpr") or not roc.get("tpr"):
        return False
    return all(number(value) is not None for key in ("fpr", "tpr") for value in roc[key])


def confusion_figure(results: Results, cohort: str, model: str) -> str | None:
    """Confusion matrix: counts, shaded and annotated with the share of the row (the true type)."""
    raw = lookup(results, "cohorts", cohort, "models", model, "confusion")
    if not raw:
        return None
    counts = np.array([[_cell(cell) for cell in row] for row in raw])  # (true, predicted), NaN where withheld
    if np.isnan(counts).all():
        return None
    title = f"{COHORT_TITLES[cohort]}, model {model}"

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        lesions = np.nansum(counts, axis=1)
        shares = counts / np.maximum(lesions, 1)[:, None]
        labels = [f"{name}\nn={n:.0f}" for name, n in zip(LESION_TYPES, lesions, strict=True)]
        draw_cells(axes, shares, labels, LESION_TYPES)
        _write_cells(axes, counts, shares)
        axes.set(title=title, xlabel="Predicted type", ylabel="True type", aspect="equal")

    name = f"confusion-{cohort}-{model}".replace("_", "-")
    return render_svg(name, f"Confusion matrix: {title}", Frame(3.6, 3.6, left=0.62), draw)


def _cell(raw: Any) -> float:
    found = number(raw)
    return float("nan") if found is None else found


def _write_cells(axes: Axes, counts: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        share = float(shares[row, column])
        text, below = ("–", "") if np.isnan(count) else (f"{count:.0f}", f"{share:.0%}" if count else "")
        colour = ink_on(share) if count else FAINT
        axes.text(column + 0.5, row + 0.42, text, color=colour, ha="center", va="center", fontsize=9)
        axes.text(column + 0.5, row + 0.76, below, color=colour, ha="center", va="center", fontsize=6.5)


def radar_figure(results: Results, cohort: str) -> str | None:
    """One-vs-rest accuracy of the six types on six axes, one outline a model."""
    models = models_of(results, cohort)
    values = {model: _one_vs_rest(results, cohort, model) for model in models}
    present = [value for row in values.values() for value in row if not np.isnan(value)]
    if not present:
        return None
    floor = _radar_floor(results)

    def draw(figure: Figure) -> None:
        axes = cast(PolarAxes, figure.add_subplot(projection="polar"))
        angles = np.linspace(0, 2 * np.pi, len(LESION_TYPES), endpoint=False)
        for model, row in values.items():
            style = MODEL_LOOKS[model]
            (line,) = axes.plot([*angles, angles[0]], [*row, row[0]], color=style.colour, linestyle=style.line)
            line.set(gid=f"radar-{model}", label=model, marker=style.marker)
        axes.set_theta_zero_location("N")
        axes.set_theta_direction(-1)
        axes.set_xticks(angles, LESION_TYPES)
        axes.set_ylim(floor, 1.0)
        rings = np.arange(1.0, floor + 0.01, -0.05 if floor >= 0.8 else -0.1)[::-1]
        axes.set_yticks(rings, [f"{ring:.2f}" for ring in rings], fontsize=6.5, color="#616e7c")
        axes.set_rlabel_position(30)
        axes.spines["polar"].set_color(FAINT)
        axes.set_title(f"{COHORT_TITLES[cohort]} (center = {floor:.1f})", pad=14)
        figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=4)

    title = f"One-vs-rest accuracy of six lesion types: {COHORT_TITLES[cohort]}"
    return render_svg(
        f"radar-{cohort}".replace("_", "-"), title, Frame(3.6, 3.8, left=0.45, right=0.45, bottom=0.55, top=0.65), draw
    )


def _radar_floor(results: Results) -> float:
    """The value at the center: the same for all cohorts, so that their shapes compare."""
    pairs = [(cohort, model) for cohort in tested_cohorts(results) for model in models_of(results, cohort)]
    lowest = np.nanmin([value for pair in pairs for value in _one_vs_rest(results, *pair)])
    return float(min(0.8, np.floor(lowest * 10) / 10))


def _one_vs_rest(results: Results, cohort: str, model: str) -> list[float]:
    found = [metric(results, cohort, model, "one_vs_rest_accuracy", name) for name in LESION_TYPES]
    return [float("nan") if item is None else item.value for item in found]


def accuracy_figure(results: Results) -> str | None:
    """Accuracy with its 95 % interval, four models on each test cohort, and the majority class's share."""
    cohorts = tested_cohorts(results)
    if not any(metric(results, cohort, model, "accuracy") for cohort in cohorts for model in FUSION_MODELS):
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ticks: list[tuple[float, str]] = []
        for group, cohort in enumerate(cohorts):
            top = group * (len(FUSION_MODELS) + 1.6)
            across = axes.get_yaxis_transform()
            axes.text(0.0, top - 0.85, COHORT_TITLES[cohort], weight="bold", transform=across)
            ticks += _accuracy_rows(axes, results, cohort, top)
        xlabel = "Accuracy, 95 % interval; dotted: always naming the commonest type"
        label_rows(axes, ticks, (max(y for y, _ in ticks) + 0.7, -1.5), xlabel)

    height = 0.6 + 0.2 * (len(FUSION_MODELS) + 1.6) * len(cohorts)
    return render_svg(
        "accuracy", "Accuracy of the four models on the test cohorts", Frame(4.4, height, right=0.45, top=0.1), draw
    )


def _accuracy_rows(axes: Axes, results: Results, cohort: str, top: float) -> list[tuple[float, str]]:
    rows = [(top + place, model) for place, model in enumerate(FUSION_MODELS)]
    for y, model in rows:
        found = metric(results, cohort, model, "accuracy")
        if found is None:
            write_missing(axes, y, "no value")
            continue
        interval = (found.low, found.value, found.high)
        draw_interval(axes, y, interval, MODEL_LOOKS[model], f"accuracy-{cohort}-{model}")
    commonest = majority(results, cohort)
    if commonest is not None:
        (line,) = axes.plot([commonest[1]] * 2, [top - 0.5, rows[-1][0] + 0.5], color=INK, linestyle=":")
        line.set_gid(f"majority-{cohort}")
    return rows
