"""The time-intensity curve of a lesion, with gaps where nothing was seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from ceus_models.figures.palette import FAINT, GOOD, INK, LESION, PEAK
from client.data.analysis.exam import AGAIN, FLASH, REPEATED
from client.data.analysis.trace import Trace
from client.data.imaging.recording import F64

_LEFT_OUT: Mapping[str, tuple[str, str]] = {
    FLASH: ("#f4a3a8", "flash and refill"),
    REPEATED: ("#b9c4cf", "repeated"),
    AGAIN: ("#d9cdea", "after a second injection"),
}
"""Why frames do not count → colour behind the curve, and words."""
_INJECTION_NEAR_S = 30.0


def draw_curve(axes: Axes, trace: Trace, size: float = 8) -> None:
    """The curve with its peak, the injection, the key frames, and stripes where frames do not count.

    size: of the letters, in points.
    """
    seconds, peak = trace.seconds, int(trace.peak_index)
    _shade_left_out(axes, trace)
    axes.plot(*break_at_gaps(seconds, trace.tic), color=FAINT, linewidth=0.8, label="mean of the lesion")
    axes.plot(*break_at_gaps(seconds, trace.smoothed), color=INK, linewidth=1.5, label="smoothed")
    axes.axvline(seconds[peak], color=PEAK, linewidth=1.2, label=f"peak at {seconds[peak]:.1f} s")
    low, high = compute_curve_span(trace)
    if low <= 0.0 <= high:
        axes.axvline(0.0, color=GOOD, linewidth=1.5, linestyle=":", label="injection")
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
    axes.legend(fontsize=size, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.02), borderaxespad=0)
    axes.set_xlim(low, high)
    axes.tick_params(labelsize=size)


def _shade_left_out(axes: Axes, trace: Trace) -> None:
    """A stripe behind the curve for every frame that does not count."""
    for why, moments in trace.left_out.items():
        colour, words = _LEFT_OUT[why]
        label = f"{words}: {len(moments)}"
        for first, last in _list_stretches(moments, trace.seconds):
            axes.axvspan(first, last, color=colour, linewidth=0.8, label=label, zorder=0)
            label = "_more of them"


def _list_stretches(moments: F64, kept: F64) -> list[tuple[float, float]]:
    """Times left out as spans: a span ends where a frame that counts lies between."""
    if len(moments) == 0:
        return []
    ordered = np.sort(moments)
    between = np.searchsorted(kept, ordered[1:]) > np.searchsorted(kept, ordered[:-1])
    return [(float(part[0]), float(part[-1])) for part in np.split(ordered, np.flatnonzero(between) + 1)]


def compute_curve_span(trace: Trace) -> tuple[float, float]:
    """The recorded time with what was left out, and the injection where it was shortly before."""
    low, high = compute_time_span(np.concatenate([trace.seconds, *trace.left_out.values()]))
    return (min(low, -1.0) if low < _INJECTION_NEAR_S else low), high


def break_at_gaps(seconds: F64, values: F64) -> tuple[F64, F64]:
    """Both with NaN put into the gaps between clips, so that no line is drawn where nothing was seen."""
    gaps = _find_gaps(seconds)
    return np.insert(seconds, gaps, np.nan), np.insert(np.asarray(values, dtype=np.float64), gaps, np.nan)


def _find_gaps(seconds: F64) -> npt.NDArray[np.int_]:
    """Indices of the frames before which nothing was seen for a while."""
    steps = np.diff(seconds)
    if len(steps) == 0:
        return np.zeros(0, dtype=np.int_)
    return np.flatnonzero(steps > max(1.0, 5 * float(np.median(steps)))) + 1


def compute_time_span(seconds: F64) -> tuple[float, float]:
    """First and last time, never the same."""
    first, last = float(seconds.min()), float(seconds.max())
    return (first, last) if last > first else (first - 0.5, first + 0.5)
