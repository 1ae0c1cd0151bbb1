"""Where the key frames begin: with the last plain frame before contrast arrives in the lesion or around it.

Seconds without contrast differ between operators and tell nothing of a lesion. A lesion may enhance late or hardly at
all, so the tissue around it in the box counts as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from client.data.analysis.tic import Mask, Tic, locate_arrival
from client.data.imaging.recording import F64, Box

_SURE = 4.0
"""A rise counts from so many times the spread of the frames about the curve. Noise alone, at 1.5 to 25 Hz and of 12 to
200 resolution cells, reaches 3.5 in one curve of a hundred."""
_LEAD_S = 1.0
"""The start is so long before the arrival at most, which noise and movement hide for as long."""


def locate_start(curves: Sequence[Tic], seconds: F64) -> int:
    """Index of a plain frame before contrast arrives in the first of some curves; 0 where none surely rises."""
    arrivals = [locate_arrival(curve) for curve in curves if _rises(curve)]
    if not arrivals:
        return 0
    return int(np.searchsorted(seconds, seconds[min(arrivals)] - _LEAD_S))


def _rises(curve: Tic) -> bool:
    """Whether the curve rises to its peak by more than noise makes up."""
    rise = float(curve.smoothed[curve.peak] - curve.smoothed[: curve.peak + 1].min())
    spread = 1.4826 * float(np.median(np.abs(curve.values - curve.smoothed)))
    return curve.enhances and rise > _SURE * spread


def build_surrounding_mask(polygon: F64, box: Box) -> Mask:
    """Weights (h w) of a box's pixels, 1 outside the polygon (n 2) and 0 on it, and the place (x, y) of the first."""
    low = np.array(box[:2], dtype=int)
    mask = np.ones((box[3] - box[1], box[2] - box[0]), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon - low).astype(np.int32)], 0)
    return mask.astype(np.float64), low
