"""Reliability curves: how often a lesion is of a type where its probability is so high."""

from __future__ import annotations

from matplotlib.figure import Figure

from ceus_models.figures.canvas import render_svg
from ceus_models.figures.palette import MODEL_LOOKS
from server.report.figures.panels import SQUARE, add_unit_square, legend_below
from server.report.values import COHORT_TITLES, Results, lookup, models_of, number


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
        legend_below(axes, "ECE")

    name = f"reliability-{cohort}".replace("_", "-")
    return render_svg(name, f"Reliability curves: {COHORT_TITLES[cohort]}", SQUARE, draw)


def _whole(curve: object) -> bool:
    values = [value for key in ("predicted", "observed") for value in lookup(curve, key) or [None]]
    return all(number(value) is not None for value in [*values, lookup(curve, "ece")])
