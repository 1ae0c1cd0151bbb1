"""Respiratory gating: a lesion leaves the image plane where a breath moves it farthest from its usual place.

Curves of contrast are taken at one position of the breath (Averkiou 2010, Ultrasound Med Biol 36:68). On a
contrast-only clip nothing else tells it: the pane shows the bolus, and no tissue to compare with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from client.data.imaging.recording import F64

F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

_USUAL_S = 8.0
"""Two breaths: their median place drifts with the hand, not with the breath."""
_SHARE = 0.2
"""Of the frames, the farthest, are left out: 10-30 % of the frames of such clips are out of the plane."""
_LEAST_PX = 1.5
"""A smaller distance is an error of the track and no breath."""
_GAP_S = 5.0
"""A longer step in time is a gap between clips."""


def find_deep_breaths(shift: F32, seconds: F64, seen: Bool) -> Bool:
    """Frames (t) of deep breaths: those among `seen` (t) that lie farthest from where the lesion usually is.

    shift: (t 2), px from the annotated frame. All False where the lesion hardly moves.
    """
    if not seen.any():
        return np.zeros(len(seconds), dtype=bool)
    parts = np.split(np.arange(len(seconds)), np.flatnonzero(np.diff(seconds) > _GAP_S) + 1)
    far = np.concatenate([_measure_departure(shift[part], seconds[part]) for part in parts])
    return np.asarray(seen & (far > np.quantile(far[seen], 1 - _SHARE)) & (far > _LEAST_PX), dtype=bool)


def _measure_departure(shift: F32, seconds: F64) -> F64:
    """Distance (t), px, of the places (t 2) within one clip from their running median."""
    if len(seconds) < 2:
        return np.zeros(len(seconds))
    count = min(round(_USUAL_S / float(np.median(np.diff(seconds)))), 2 * len(seconds) - 2) | 1
    usual = median_filter(shift, size=(count, 1), mode="nearest")
    return np.asarray(np.hypot(*(shift - usual).T), dtype=np.float64)
