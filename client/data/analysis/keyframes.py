"""Select the key frames of an exam: evenly in time from a first frame to the peak, and from the peak to its end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from client.data.imaging.recording import F64

Index = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

_REACH_S = 1.0
"""A held frame gives way to a good one at most this far away, or half the step between key frames if that is more."""

_SIDE_S = 1.0
"""A shorter side of the peak is none: a lesion filling to the clip's end would show its last frame twenty times."""


def choose_key_frames(
    seconds: F64, peak: int | None, held: Bool, frames_to_peak: int, frames_after: int, first: int = 0
) -> Index:
    """Indices (frames_to_peak + frames_after) of key frames, in order of time.

    They begin with `first`, and the last of the first `frames_to_peak` is the peak. Where a side has no time (peak next
    to the first or last frame) the other side gets its frames; without a peak they are even over the whole time. Times
    fall to the nearest frame that exists, so short clips repeat frames and gaps repeat their edges.

    Args:
        seconds: (t), rising, over all clips of the examination.
        peak: Index of the peak, None where the curve has none.
        held: (t), frames out of the plane, replaced where a good one is near.
        first: Index of the first key frame.

    >>> seconds = np.arange(0.0, 41.0)
    >>> choose_key_frames(seconds, 20, np.zeros(41, dtype=bool), 3, 2).tolist()
    [0, 10, 20, 30, 40]
    """
    start, end = float(seconds[first]), float(seconds[-1])
    total = frames_to_peak + frames_after
    summit = start if peak is None else float(seconds[peak])
    if min(summit - start, end - summit) < _SIDE_S:
        wanted = np.linspace(start, end, total)
    else:
        after = np.linspace(summit, end, frames_after + 1)[1:]
        wanted = np.concatenate([np.linspace(start, summit, frames_to_peak), after])
    chosen = find_nearest(seconds, wanted)
    return np.sort(_replace_held(seconds, wanted, chosen, held))


def find_nearest(seconds: F64, wanted: F64) -> Index:
    """Index of the frame nearest to each wanted time; the earlier one of two."""
    after = np.clip(np.searchsorted(seconds, wanted), 1, max(1, len(seconds) - 1))
    if len(seconds) == 1:
        return np.zeros(len(wanted), dtype=np.int64)
    earlier = wanted - seconds[after - 1] <= seconds[after] - wanted
    return np.asarray(np.where(earlier, after - 1, after), dtype=np.int64)


def _replace_held(seconds: F64, wanted: F64, chosen: Index, held: Bool) -> Index:
    good = np.flatnonzero(~held)
    if not held[chosen].any() or len(good) == 0:
        return chosen
    other = good[find_nearest(seconds[good], wanted)]
    reach = np.maximum(_REACH_S, 0.5 * np.gradient(wanted)) if len(wanted) > 1 else np.array([_REACH_S])
    near = np.abs(seconds[other] - wanted) <= reach
    return np.where(held[chosen] & near, other, chosen)


def spread_evenly(count: int, available: int) -> Index:
    """`count` positions in 0..available-1, evenly from the first to the last.

    >>> spread_evenly(3, 9).tolist()
    [0, 4, 8]
    """
    return np.rint(np.linspace(0, available - 1, count)).astype(np.int64)
