"""Figures of how the nets came about: learning curves, sub-model AUCs, and who took part in each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ceus_models.figures.canvas import Frame, hide_frame, render_svg
from ceus_models.figures.palette import FAINT, INK, Look, series_look
from ceus_models.study.taxonomy import BIOMARKER_NETS, DISEASE_NETS, NETS
from server.report.figures.model_figures import roc_panel
from server.report.figures.panels import SMALL, draw_interval, label_rows
from server.report.values import COHORT_TITLES, Results, count_items, estimate, lookup, number, section

_TRAINING, _VALIDATION = series_look(0), series_look(1)
_SMOOTHED_FROM = 20
"""Shorter curves are drawn as they are."""
ANSWERS: Mapping[str, tuple[str, str]] = {  # what became of a site in a round: fill and hatch
    "counted": ("#4a8fd0", ""),
    "idle": ("#b9d4ee", ""),
    "not asked": ("#eef1f4", ""),
    "refused": ("#e69f00", "//"),
    "excluded": ("#d55e00", "xx"),
    "lost": ("#1f2933", ""),
}


def curve_groups(results: Results) -> list[tuple[str, str]]:
    """Every (group, net) that has a learning curve, in the study's order of nets."""
    found = {(group, net) for group, nets in section(results, "curves").items() for net in nets}
    order = {net: place for place, net in enumerate(NETS)}
    return sorted(found, key=lambda pair: (order.get(pair[1], len(order)), pair))


def curve_figure(results: Results, group: str, net: str) -> str | None:
    """Training and validation loss of one net over its rounds, with the round that was kept."""
    curve = section(results, "curves", group, net)
    training = _points(curve.get("rounds"), curve.get("training_loss"))
    validation = _points(curve.get("validation_rounds"), curve.get("validation_loss"))
    if not len(training) and not len(validation):
        return None
    best = number(curve.get("best_round"))
    width = _choose_width(len(training))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_loss(axes, training, _TRAINING, "training", width)
        _draw_loss(axes, validation, _VALIDATION, "validation")
        if best is not None:
            axes.axvline(best, color=INK, linewidth=0.9, linestyle=":").set_gid("best-round")
        _whole_rounds(axes, np.concatenate([training, validation])[:, 0])
        axes.set_title(net)
        smoothed = f"\ntraining: mean of {width} rounds" if width > 1 else ""
        axes.set(xlabel="Round" + _best_text(curve, best) + smoothed, ylabel="Loss")
        axes.grid(True)
        axes.legend(fontsize=7, handlelength=2.2)

    name = f"curve-{group}-{net}".replace("/", "-").replace("_", "-")
    return render_svg(name, f"Learning curve of {net}", Frame(2.75, 2.42, left=0.76, bottom=0.72), draw)


def _choose_width(rounds: int) -> int:
    """Over how many rounds the training loss is averaged: an odd number, about a tenth of them."""
    return 1 if rounds < _SMOOTHED_FROM else 2 * (rounds // 20) + 1


def _draw_loss(axes: Axes, points: npt.NDArray[np.float64], style: Look, label: str, width: int = 1) -> None:
    if not len(points):
        return
    smoothed = smooth(points[:, 1], width)
    if width > 1:
        axes.plot(points[:, 0], points[:, 1], color=style.colour, linewidth=0.6, alpha=0.4).pop().set_gid(
            f"{label}-raw"
        )
    (drawn,) = axes.plot(points[:, 0], smoothed, color=style.colour, linestyle=style.line, label=label)
    drawn.set(gid=f"{label}-loss", marker=style.marker, markersize=3.5, markevery=max(1, len(points) // 8))


def smooth(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """The mean over the `width` (odd) values around each; fewer, on both sides alike, at the ends.

    >>> smooth(np.array([0.0, 3.0, 0.0, 3.0]), 3).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    half = width // 2
    reach = [min(half, place, len(values) - 1 - place) for place in range(len(values))]
    return np.array([values[place - r : place + r + 1].mean() for place, r in enumerate(reach)])


def _whole_rounds(axes: Axes, rounds: npt.NDArray[np.float64]) -> None:
    last = int(rounds.max())
    axes.set_xlim(min(0.5, rounds.min() - 0.5), last + 0.5)
    step = max(1, -(-last // 6))
    axes.set_xticks(range(step if step > 1 else 1, last + 1, step))


def _best_text(curve: Mapping[str, Any], best: float | None) -> str:
    if best is None:
        return ""
    aucs = dict(zip(curve.get("validation_rounds") or [], curve.get("validation_auc") or [], strict=False))
    auc = number(aucs.get(int(best)))
    return f"\ndotted: kept round {int(best)}" + ("" if auc is None else f", AUC {auc:.3f}")


def _points(x: Any, y: Any) -> npt.NDArray[np.float64]:
    """(n 2) pairs of which both are numbers."""
    pairs = [(number(a), number(b)) for a, b in zip(x or [], y or [], strict=False)]
    kept = [(a, b) for a, b in pairs if a is not None and b is not None]
    return np.asarray(kept, dtype=np.float64).reshape(-1, 2)


def nets_figure(results: Results, cohort: str = "validation") -> str | None:
    """AUC of every sub-model on a cohort with its 95 % interval."""
    found = {net: estimate(lookup(results, "nets", net, cohort, "auc")) for net in NETS}
    rows = [(net, auc) for net, auc in found.items() if auc is not None]
    if not rows:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, (net, auc) in enumerate(rows):
            style = series_look(0 if net in DISEASE_NETS else 1)
            draw_interval(axes, y, (auc.low, auc.value, auc.high), style, f"net-{net}".replace("/", "-"))
        axes.axvline(0.5, color=INK, linestyle=":")
        axes.set_title(COHORT_TITLES[cohort])
        names = [(float(y), net) for y, (net, _) in enumerate(rows)]
        label_rows(axes, names, (len(rows) - 0.4, -0.6), "AUC, 95 % interval; dotted: chance")

    title = f"AUC of the sub-models, {COHORT_TITLES[cohort].replace('V', 'v')}"
    return render_svg(
        f"nets-{cohort}".replace("_", "-"),
        title,
        Frame(4.4, 0.8 + 0.24 * len(rows), left=1.05, right=0.45, top=0.3),
        draw,
    )


def net_roc_figure(results: Results, module: str, cohort: str = "validation") -> str | None:
    """ROC curves of the sub-models of one module (`disease` or `biomarker`) on a cohort."""
    nets = DISEASE_NETS if module == "disease" else BIOMARKER_NETS
    curves, labels = [], {}
    for place, net in enumerate(nets):
        name = net.split("/")[1]
        auc = estimate(lookup(results, "nets", net, cohort, "auc"))
        labels[name] = name if auc is None else f"{name}  {auc.value:.3f}"
        curves.append((name, series_look(place), lookup(results, "nets", net, cohort, "roc")))
    title = f"{module.capitalize()} nets, {COHORT_TITLES[cohort].replace('V', 'v')}"
    return roc_panel(f"roc-nets-{module}-{cohort}".replace("_", "-"), title, curves, labels)


def outcomes(entry: Mapping[str, Any]) -> dict[str, int]:
    """How many sites of a round were counted, idle (nothing to learn from), not asked, refused, excluded and lost."""
    found = {name: count_items(entry.get(name)) for name in ("counted", "idle", "refused", "excluded", "lost")}
    return {**found, "not asked": max(0, count_items(entry.get("registered")) - count_items(entry.get("asked")))}


def participation_figure(results: Results) -> str | None:
    """A strip with one column a round: the share of the registered sites by what became of them."""
    entries = lookup(results, "participation") or []
    if not entries:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        starts = _round_edges([str(entry.get("stage")) for entry in entries])
        edges = np.repeat(starts, 2)[1:-1]  # a step for each round
        bottom = np.zeros(len(edges))
        for name, height in _shares(entries).items():
            colour, hatch = ANSWERS[name]
            top = bottom + np.repeat(height, 2)
            keep = _corners(bottom, top)
            x, below, above = edges[keep], bottom[keep], top[keep]
            axes.fill_between(x, below, above, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
            bottom = top
        _mark_stages(axes, [str(entry.get("stage")) for entry in entries], starts)
        axes.set(xlim=(0, starts[-1]), ylim=(0, 1), ylabel="Share of sites")
        axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
        patches = [Patch(facecolor=fill, hatch=hatch, edgecolor=FAINT) for fill, hatch in ANSWERS.values()]
        figure.legend(patches, list(ANSWERS), loc="lower center", ncols=3, fontsize=SMALL)

    return render_svg("participation", "Who took part in each round", Frame(5.2, 2.6, bottom=1.0, top=0.1), draw)


def _corners(bottom: npt.NDArray[np.float64], top: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where a band turns, and its ends: the points between would only make the drawing large."""
    flat = (np.diff(bottom) == 0) & (np.diff(top) == 0)
    return np.concatenate([[True], ~(flat[:-1] & flat[1:]), [True]])


def _shares(entries: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[np.float64]]:
    """Per answer, its share of the sites in each round (rounds,)."""
    rounds = [outcomes(entry) for entry in entries]
    sums = np.array([max(1, sum(entry.values())) for entry in rounds])
    return {name: np.array([entry[name] for entry in rounds]) / sums for name in ANSWERS}


def _round_edges(stages: Sequence[str]) -> npt.NDArray[np.float64]:
    """Where each round begins, and the last one's end (rounds + 1,); a short stage stays wide enough to label."""
    widths = [max(1.0, 0.1 * len(stages) / stages.count(stage)) for stage in stages]
    return np.concatenate([[0.0], np.cumsum(widths)])


def _mark_stages(axes: Axes, stages: Sequence[str], edges: npt.NDArray[np.float64]) -> None:
    starts = [place for place, stage in enumerate(stages) if place == 0 or stages[place - 1] != stage]
    for start in starts[1:]:
        axes.axvline(edges[start], color="white", linewidth=2.5)
    centers = [(edges[start] + edges[end]) / 2 for start, end in pairwise([*starts, len(stages)])]
    axes.set_xticks(centers, [stages[start] for start in starts], rotation=30, ha="right", fontsize=SMALL)
    hide_frame(axes)
