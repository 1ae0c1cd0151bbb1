"""Figures of a model in use: decision curves, and accuracy against the share of lesions that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, render_svg
from ceus_models.figures.palette import FAINT, INK, MODEL_LOOKS
from server.report.figures.panels import SMALL
from server.report.values import PLACE_TITLES, Estimate, estimate, lookup, number

_PANEL = Frame(3.6, 3.1, left=0.58, right=0.2, bottom=1.0)
_LEGEND: Mapping[str, Any] = {
    "loc": "upper center",
    "bbox_to_anchor": (0.45, -0.2),
    "fontsize": SMALL,
    "columnspacing": 1.0,
    "handlelength": 2.2,
}
_BAND: Mapping[str, Any] = {"alpha": 0.15, "linewidth": 0}


def decision_figure(place: str, question: str, title: str, found: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Net benefit by threshold, of models and of treating all and none.

    Args:
        place: cohort or pool.
        question: `HCC` or `malignant`.
        title: of the question.
        found: model → its entry `decision` in the results.
    """
    drawn = {model: entry for model, entry in found.items() if _is_whole(entry, question)}
    if not drawn:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        first = next(iter(drawn.values()))
        highest = max(first[question]["treat_all"][0], *(max(e[question]["net_benefit"]) for e in drawn.values()))
        for model, entry in drawn.items():
            style, one = MODEL_LOOKS[model], entry[question]
            (line,) = axes.plot(entry["thresholds"], one["net_benefit"], color=style.colour, linestyle=style.line)
            line.set(gid=f"benefit-{question}-{model}", label=f"model {model}")
            if model == list(drawn)[-1] and one.get("low"):
                axes.fill_between(entry["thresholds"], one["low"], one["high"], color=style.colour, **_BAND)
                highest = max(highest, *one["high"])
        axes.plot(first["thresholds"], first[question]["treat_all"], color=FAINT, label="act on all")
        axes.axhline(0.0, color=INK, linewidth=0.8, label="act on none")
        axes.set(xlim=(0, 1), ylim=(-0.12, max(0.2, highest * 1.08)), xlabel="Threshold probability")
        axes.set(ylabel="Net benefit", title=title)
        axes.grid(True)
        axes.legend(ncols=3, **_LEGEND)

    return render_svg(
        f"decision-{place}-{question}".replace("_", "-"),
        f"Decision curve: {title}, {PLACE_TITLES[place]}",
        _PANEL,
        draw,
    )


def _is_whole(entry: Mapping[str, Any], question: str) -> bool:
    benefit = lookup(entry, question, "net_benefit") or []
    return bool(benefit) and all(number(value) is not None for value in benefit)


def selective_figure(place: str, found: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Accuracy of what is answered against its share of all lesions, one line a model.

    Args:
        place: cohort or pool.
        found: model → {probability: {answered, accuracy}}, and under "all" its accuracy on all lesions.
    """
    lines = {model: points for model, one in found.items() if len(points := _list_points(one)) > 1}
    if not lines:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for model, points in lines.items():
            style = MODEL_LOOKS[model]
            shares, values = [share for share, _ in points], [one.value for _, one in points]
            (line,) = axes.plot(shares, values, color=style.colour, linestyle=style.line, marker=style.marker)
            line.set(gid=f"selective-{model}", label=f"model {model}", markersize=3)
            if model == list(lines)[-1]:
                known = [(share, one.low, one.high) for share, one in points if one.low is not None]
                x, low, high = (list(column) for column in zip(*known, strict=True)) if known else ([], [], [])
                axes.fill_between(x, low, high, color=style.colour, **_BAND)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="Share of lesions answered", ylabel="Accuracy of these")
        axes.set_title("Answering only when sure")
        axes.grid(True)
        axes.legend(ncols=2, **_LEGEND)

    title = f"Accuracy against coverage: {PLACE_TITLES[place]}"
    return render_svg(f"selective-{place}".replace("_", "-"), title, _PANEL, draw)


def _list_points(found: Mapping[str, Any]) -> list[tuple[float, Estimate]]:
    """(share answered, accuracy of these), from all lesions to the surest."""
    points = []
    for one in found.values():
        share, accuracy = estimate(one.get("answered")), estimate(one.get("accuracy"))
        if share is not None and accuracy is not None:
            points.append((share.value, accuracy))
    return sorted(points, key=lambda point: -point[0])
