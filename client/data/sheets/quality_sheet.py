"""One lesion on one page, for the person who answers for the data: is the outline right, does the box stay on the
lesion, is the curve that of the lesion, and which frames were left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Polygon, Rectangle

from ceus_models.figures.canvas import Frame, caption, render_png
from ceus_models.figures.palette import BAD, BOX, GOOD, INK, LESION
from ceus_models.runtime.atomic_files import write_atomically
from client.data.analysis.trace import Trace, TracedExam
from client.data.sheets.curve import break_at_gaps, compute_curve_span, draw_curve
from client.data.sheets.flow_colours import colour_flow, compute_flow_bound, draw_colour_wheel
from client.data.sheets.picture_strip import GAP_PX, draw_strip, place_outline_in_crop

STRIP_FRAMES = 12
_PARAMETERS_A_LINE = 9


def write_quality_sheet(heading: str, found: TracedExam, path: Path, gate: float | None = None) -> None:
    """Write one PNG; it appears whole or not at all.

    Args:
        heading: row, pseudonym and what else may be shown.
        gate: correlation below which frames are held, drawn where given.
    """
    trace = found.trace

    def draw(figure: Figure) -> None:
        grid = GridSpec(4, 2, figure=figure, width_ratios=(1, 1.55), height_ratios=(1.5, 0.85, 0.95, 0.75))
        grid.update(left=0.01, right=0.985, top=0.855, bottom=0.01, hspace=0.36, wspace=0.09)
        _write_head(figure, heading, trace)
        _draw_reference(figure.add_subplot(grid[0:2, 0]), trace)
        curve = figure.add_subplot(grid[0, 1])
        draw_curve(curve, trace)
        caption(curve, "time-intensity curve")
        _draw_tracking(figure.add_subplot(grid[1, 1]), trace, gate)
        _draw_frames(figure.add_subplot(grid[2, :]), found)
        _draw_flow(figure.add_subplot(grid[3, :]), trace)

    write_atomically(path, render_png(Frame(15, 10.5), draw, dots_per_inch=100))


def _write_head(figure: Figure, heading: str, trace: Trace) -> None:
    figure.text(0.01, 0.99, heading, fontsize=13, color=INK, va="top", weight="bold")
    verdict, colour = "the track is trusted", GOOD
    if doubts := (*trace.clip_doubts, *trace.doubts):
        verdict, colour = f"TO BE LOOKED AT: {'; '.join(doubts)}", BAD
    figure.text(0.01, 0.966, verdict, fontsize=11, color=colour, va="top", weight="bold")
    shown = [f"{name} {value:.4g}" for name, value in trace.parameters.items()]
    values = [" · ".join(shown[at : at + _PARAMETERS_A_LINE]) for at in range(0, len(shown), _PARAMETERS_A_LINE)]
    lines = [" · ".join(filter(None, (trace.source, *trace.notes, *map(str, trace.shown)))), *values]
    figure.text(0.01, 0.942, "\n".join(lines), fontsize=9, color=INK, va="top")


def _draw_reference(axes: Axes, trace: Trace) -> None:
    axes.imshow(trace.reference, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    x0, y0, x1, y1 = trace.box
    axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=BOX, linewidth=1.5))
    axes.add_patch(Polygon(trace.polygon, closed=True, fill=False, edgecolor=LESION, linewidth=1.5))
    _zoom_to_crop(axes, trace)
    axes.set(xticks=[], yticks=[], anchor="W")
    caption(axes, "outlined frame, contrast pane around the lesion: outline (orange), crop (blue)")


def _zoom_to_crop(axes: Axes, trace: Trace) -> None:
    """The crop and half of it on every side: what lies further off is not needed, and may hold text."""
    x0, y0, x1, y1 = trace.box
    rows, columns = trace.reference.shape
    wide, high = (x1 - x0) / 2, (y1 - y0) / 2
    axes.set_xlim(max(x0 - wide, 0) - 0.5, min(x1 + wide, columns) - 0.5)
    axes.set_ylim(min(y1 + high, rows) - 0.5, max(y0 - high, 0) - 0.5)


def _draw_tracking(axes: Axes, trace: Trace, gate: float | None) -> None:
    held = np.asarray(trace.held)
    axes.plot(*break_at_gaps(trace.seconds, trace.correlation), color=INK, linewidth=1.0)
    axes.plot(trace.seconds[held], trace.correlation[held], ".", color=BAD, markersize=4)
    if gate is not None:
        axes.axhline(gate, color=BAD, linewidth=0.8, linestyle="--")
    share = float(held.mean()) if held.size else 0.0
    at_gate = "" if gate is None else f", gate {gate:g} dashed"
    caption(axes, f"confidence of the track: correlation ({share:.0%} of frames held, red{at_gate})")
    axes.set_xlim(compute_curve_span(trace))
    axes.set_ylim(min(-0.05, float(np.nanmin(trace.correlation, initial=0.0))), 1.05)
    axes.set_xlabel("seconds after injection", fontsize=8)
    axes.tick_params(labelsize=8)


def _draw_frames(axes: Axes, found: TracedExam) -> None:
    """Key frames with the outline where the track puts it; the time of a held frame is red."""
    trace, frames = found.trace, found.frames
    picked = np.unique(np.linspace(0, len(frames) - 1, STRIP_FRAMES).round().astype(int))
    places = np.asarray(trace.chosen)[picked]
    text = f"{len(picked)} of {len(frames)} key frames; the outline (orange) should stay on the lesion"
    draw_strip(axes, text, frames[picked], [f"{trace.seconds[place]:.1f} s" for place in places])
    outline = place_outline_in_crop(trace, frames.shape[2])
    rings = [outline + np.array([(frames.shape[2] + GAP_PX) * place, 0.0]) for place in range(len(picked))]
    axes.add_collection(LineCollection(rings, colors=[LESION], linewidths=0.7, alpha=0.8), autolim=False)
    for label, place in zip(axes.get_xticklabels(), places, strict=True):
        label.set_color(BAD if trace.held[place] else INK)


def _draw_flow(axes: Axes, trace: Trace) -> None:
    bound = compute_flow_bound(trace.flow)
    text = f"flow between key frames, global motion removed; full colour = {bound:.2f} px; wheel at the right"
    maps = [colour_flow(flow, bound) for flow in trace.flow]
    draw_strip(axes, text, [*maps, draw_colour_wheel(trace.flow.shape[-1])], ())
