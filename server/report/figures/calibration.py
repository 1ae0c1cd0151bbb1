"""Reliability curves: how often an answer is right where its probability is so high."""

from __future__ import annotations

from matplotlib.figure import Figure

from server.report.figures import canvas
from server.report.figures.canvas import FAINT
from server.report.values import COHORT_TITLES, Results, at, models_of, number


def reliability(results: Results, cohort: str) -> str | None:
    """The models' curves on one cohort, over the bins that hold lesions; None where none was calibrated."""
    curves = {
        model: at(results, "cohorts", cohort, "models", model, "calibration", "answer")
        for model in models_of(results, cohort)
    }
    drawable = {model: curve for model, curve in curves.items() if _whole(curve)}
    if not drawable:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        for model, curve in drawable.items():
            style = canvas.MODEL_LOOKS[model]
            (line,) = axes.plot(curve["predicted"], curve["observed"], color=style.colour, linestyle=style.line)
            line.set(gid=f"reliability-{model}", marker=style.marker, label=f"{model}  {curve['ece']:.3f}")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=COHORT_TITLES[cohort])
        axes.set(xlabel="Mean probability of the answer", ylabel="Share of right answers")
        axes.grid(True)
        canvas.legend_below(axes, "ECE")

    name = f"reliability-{cohort}".replace("_", "-")
    return canvas.svg(name, f"Reliability curves: {COHORT_TITLES[cohort]}", canvas.SQUARE, draw)


def _whole(curve: object) -> bool:
    values = [value for key in ("predicted", "observed") for value in at(curve, key) or [None]]
    return all(number(value) is not None for value in [*values, at(curve, "ece")])
