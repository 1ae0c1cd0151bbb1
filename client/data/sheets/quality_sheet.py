"""One lesion on one page, for the person who answers for the data: is the outline right, does the box stay on the
lesion, is the curve that of the lesion, and which frames were left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Polygon, Rectangle

from client.data.analysis.exam import AGAIN, FLASH, REPEATED
from client.data.analysis.trace import Trace, Traced
from client.data.sheets.drawing import (
    BAD,
    BOX,
    F64,
    GAP_PX,
    INK,
    LESION,
    PALE,
    PEAK,
    bare,
    broken,
    caption,
    flow_colours,
    row_of,
    save,
    span,
    wheel,
)

STRIP_FRAMES = 12
_GOOD = "#1b7837"
_LEFT_OUT: Mapping[str, tuple[str, str]] = {
    FLASH: ("#f4a3a8", "flash and refill"),
    REPEATED: ("#b9c4cf", "repeated"),
    AGAIN: ("#d9cdea", "after a second injection"),
}
"""Why frames do not count → colour behind the curve, and words."""
_PARAMETERS_A_LINE = 9
_INJECTION_NEAR_S = 30.0


def quality_sheet(heading: str, found: Traced, path: Path, gate: float | None = None) -> None:
    """Writes one PNG; it appears whole or not at all.

    heading: row, pseudonym and what else may be told · gate: correlation below which frames are held, drawn where
    given.
    """
    trace = found.trace
    figure = Figure(figsize=(15, 10.5), facecolor="white")
    grid = GridSpec(4, 2, figure=figure, width_ratios=(1, 1.55), height_ratios=(1.5, 0.85, 0.95, 0.75))
    grid.update(left=0.01, right=0.985, top=0.855, bottom=0.01, hspace=0.36, wspace=0.09)
    _head(figure, heading, trace)
    _reference(figure.add_subplot(grid[0:2, 0]), trace)
    draw_curve(figure.add_subplot(grid[0, 1]), trace)
    _tracking(figure.add_subplot(grid[1, 1]), trace, gate)
    _strip(figure.add_subplot(grid[2, :]), found)
    _flow(figure.add_subplot(grid[3, :]), trace)
    save(figure, path, dots_per_inch=100)


def _head(figure: Figure, heading: str, trace: Trace) -> None:
    figure.text(0.01, 0.99, heading, fontsize=13, color=INK, va="top", weight="bold")
    verdict, colour = "the track is trusted", _GOOD
    if trace.doubts:
        verdict, colour = f"TO BE LOOKED AT: {'; '.join(trace.doubts)}", BAD
    figure.text(0.01, 0.966, verdict, fontsize=11, color=colour, va="top", weight="bold")
    shown = [f"{name} {value:.4g}" for name, value in trace.parameters.items()]
    lines = [" · ".join(shown[at : at + _PARAMETERS_A_LINE]) for at in range(0, len(shown), _PARAMETERS_A_LINE)]
    told = [" · ".join(filter(None, (trace.source, *trace.notes))), *lines]
    figure.text(0.01, 0.942, "\n".join(told), fontsize=9, color=INK, va="top")


def _reference(axes: Axes, trace: Trace) -> None:
    axes.imshow(trace.reference, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    x0, y0, x1, y1 = trace.box
    axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=BOX, linewidth=1.5))
    axes.add_patch(Polygon(trace.polygon, closed=True, fill=False, edgecolor=LESION, linewidth=1.5))
    _around(axes, trace)
    axes.set(xticks=[], yticks=[], anchor="W")
    caption(axes, "outlined frame, contrast pane around the lesion: outline (orange), crop (blue)")


def _around(axes: Axes, trace: Trace) -> None:
    """The crop and half of it on every side: what lies further off is not needed, and may hold text."""
    x0, y0, x1, y1 = trace.box
    rows, columns = trace.reference.shape
    wide, high = (x1 - x0) / 2, (y1 - y0) / 2
    axes.set_xlim(max(x0 - wide, 0) - 0.5, min(x1 + wide, columns) - 0.5)
    axes.set_ylim(min(y1 + high, rows) - 0.5, max(y0 - high, 0) - 0.5)


def draw_curve(axes: Axes, trace: Trace) -> None:
    """The curve with its peak, the injection, the key frames, and stripes where frames do not count."""
    seconds, peak = trace.seconds, int(trace.peak_index)
    _left_out(axes, trace)
    axes.plot(*broken(seconds, trace.tic), color=PALE, linewidth=0.8, label="mean of the lesion")
    axes.plot(*broken(seconds, trace.smoothed), color=INK, linewidth=1.5, label="smoothed")
    axes.axvline(seconds[peak], color=PEAK, linewidth=1.2, label=f"peak at {seconds[peak]:.1f} s")
    low, high = _shown_span(trace)
    if low <= 0.0 <= high:
        axes.axvline(0.0, color=_GOOD, linewidth=1.5, linestyle=":", label="injection")
    chosen = np.asarray(trace.chosen)
    axes.plot(
        seconds[chosen],
        np.zeros(len(chosen)),
        "|",
        color=LESION,
        markersize=9,
        label=f"{len(chosen)} key frames",
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.02), borderaxespad=0)
    axes.set_xlim(low, high)
    axes.tick_params(labelsize=8)
    caption(axes, "time-intensity curve")


def _left_out(axes: Axes, trace: Trace) -> None:
    """A stripe behind the curve for every frame that does not count."""
    for why, moments in trace.left_out.items():
        colour, words = _LEFT_OUT[why]
        label = f"{words}: {len(moments)}"
        for first, last in _stretches(moments, trace.seconds):
            axes.axvspan(first, last, color=colour, linewidth=0.8, label=label, zorder=0)
            label = "_more of them"


def _stretches(moments: F64, kept: F64) -> list[tuple[float, float]]:
    """Times left out as spans: a span ends where a frame that counts lies between."""
    if len(moments) == 0:
        return []
    ordered = np.sort(moments)
    between = np.searchsorted(kept, ordered[1:]) > np.searchsorted(kept, ordered[:-1])
    return [(float(part[0]), float(part[-1])) for part in np.split(ordered, np.flatnonzero(between) + 1)]


def _tracking(axes: Axes, trace: Trace, gate: float | None) -> None:
    held = np.asarray(trace.held)
    axes.plot(*broken(trace.seconds, trace.correlation), color=INK, linewidth=1.0)
    axes.plot(trace.seconds[held], trace.correlation[held], ".", color=BAD, markersize=4)
    if gate is not None:
        axes.axhline(gate, color=BAD, linewidth=0.8, linestyle="--")
    share = float(held.mean()) if held.size else 0.0
    at_gate = "" if gate is None else f", gate {gate:g} dashed"
    caption(axes, f"confidence of the track: correlation ({share:.0%} of frames held, red{at_gate})")
    axes.set_xlim(_shown_span(trace))
    axes.set_ylim(min(-0.05, float(np.nanmin(trace.correlation, initial=0.0))), 1.05)
    axes.set_xlabel("seconds after injection", fontsize=8)
    axes.tick_params(labelsize=8)


def _shown_span(trace: Trace) -> tuple[float, float]:
    """The recorded time with what was left out, and the injection where it was shortly before."""
    low, high = span(np.concatenate([trace.seconds, *trace.left_out.values()]))
    return (min(low, -1.0) if low < _INJECTION_NEAR_S else low), high


def _strip(axes: Axes, found: Traced) -> None:
    """Key frames with the outline where the track puts it; the time of a held frame is red."""
    trace, frames = found.trace, found.frames
    picked = np.unique(np.linspace(0, len(frames) - 1, STRIP_FRAMES).round().astype(int))
    axes.imshow(row_of([frames[index] for index in picked], 255), cmap="gray", vmin=0, vmax=255)
    width = frames.shape[2] + GAP_PX
    outline = outline_in_crop(trace, frames.shape[2])
    rings = [outline + np.array([width * place, 0.0]) for place in range(len(picked))]
    axes.add_collection(LineCollection(rings, colors=[LESION], linewidths=0.7, alpha=0.8), autolim=False)
    places = np.asarray(trace.chosen)[picked]
    labels = [f"{trace.seconds[place]:.1f} s" for place in places]
    axes.set_xticks([width * (place + 0.5) for place in range(len(picked))], labels, fontsize=8)
    for label, place in zip(axes.get_xticklabels(), places, strict=True):
        label.set_color(BAD if trace.held[place] else INK)
    axes.set_yticks([])
    bare(axes)
    caption(axes, f"{len(picked)} of {len(frames)} key frames; the outline (orange) should stay on the lesion")


def outline_in_crop(trace: Trace, side: int) -> F64:
    """The closed outline (n 2) in a crop of `side` px."""
    x0, y0, x1, y1 = trace.box
    scale = np.array([side / (x1 - x0), side / (y1 - y0)])
    return np.asarray((np.vstack([trace.polygon, trace.polygon[:1]]) - (x0, y0) + 0.5) * scale - 0.5)


def _flow(axes: Axes, trace: Trace) -> None:
    lengths = np.hypot(trace.flow[:, 0], trace.flow[:, 1])
    bound = max(float(np.percentile(lengths, 99)) if lengths.size else 0.0, 0.1)
    maps = [flow_colours(flow, bound) for flow in trace.flow]
    axes.imshow(row_of([*maps, wheel(trace.flow.shape[-1])], 1.0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    bare(axes)
    caption(axes, f"flow between key frames, global motion removed; full colour = {bound:.2f} px; wheel at the right")
