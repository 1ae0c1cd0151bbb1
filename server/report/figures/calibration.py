"""Reliability curves: how often a lesion is of a type where its probability is so high."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, render_svg
from ceus_models.figures.palette import INK, MODEL_LOOKS
from server.report.figures.panels import add_unit_square, legend_below
from server.report.values import COHORT_TITLES, Results, lookup, models_of, number

_FRAME = Frame(3.6, 5.2, bottom=1.2)
_GROUND, _BAR = -0.24, 0.14
"""Where the bars of counts stand below the curves, and the height of the largest; the panel is 1 high."""


def reliability(results: Results, cohort: str) -> str | None:
    """The models' curves on one cohort, over the bins that hold lesions; None where none was calibrated."""
    curves = {
        model: lookup(results, "cohorts", cohort, "models", model, "calibration", "all")
        for model in models_of(results, cohort)
    }
    drawable = {model: curve for model, curve in curves.items() if _whole(curve)}
    if not drawable:
        return None

    def draw(figure: Figure) -> None:
        title = COHORT_TITLES[cohort]
        axes = add_unit_square(figure, title, "Mean probability of a type", "Share of lesions of the type")
        for model, curve in drawable.items():
            style = MODEL_LOOKS[model]
            (line,) = axes.plot(curve["predicted"], curve["observed"], color=style.colour, linestyle=style.line)
            line.set(gid=f"reliability-{model}", marker=style.marker, label=f"{model}  {curve['ece']:.3f}")
        model, curve = list(drawable.items())[-1]
        _draw_counts(axes, model, curve)
        legend_below(axes, "ECE")

    name = f"reliability-{cohort}".replace("_", "-")
    return render_svg(name, f"Reliability curves: {COHORT_TITLES[cohort]}", _FRAME, draw)


def _draw_counts(axes: Axes, model: str, curve: Mapping[str, Any]) -> None:
    """How many lesions (times types) stand behind each point of a model, as bars below the curves with their counts."""
    axes.set(yticks=[tick / 5 for tick in range(6)], ylim=(_GROUND, 1.02))
    counts = [number(n) or 0.0 for n in curve.get("n") or []]
    for x, n in zip(curve["predicted"], counts, strict=False):
        height = _BAR * n / max(*counts, 1.0)
        axes.bar(x, height, width=0.05, bottom=_GROUND, color=MODEL_LOOKS[model].colour, alpha=0.25, linewidth=0)
        axes.text(x, _GROUND + height, f"{n:.0f}", ha="center", va="bottom", fontsize=6.5, color=INK)
    if counts:
        axes.set_xlabel(f"Mean probability; bars: lesions × types, {model}")


def _whole(curve: object) -> bool:
    values = [value for key in ("predicted", "observed") for value in lookup(curve, key) or [None]]
    return all(number(value) is not None for value in [*values, lookup(curve, "ece")])
