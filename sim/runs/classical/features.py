"""Simple features of a lesion: its clinical variables, its curve, and the brightness of radial zones over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ceus_models.study.sample import Sample
from client.data.imaging.recording import U8

Floats = npt.NDArray[np.float64]

ZONES = 5
"""Rings of even width around the middle of a key frame; the last has the corners, which show the liver around."""
_TIMES = ("t0", "peak_s", "TTP", "RT", "FT", "mTT", "PE_dB")
_AMOUNTS = ("WiR", "WoR", "WiPI", "WiAUC", "WoAUC")


def read_clinical(sample: Sample) -> Floats:
    """The clinical variables (17) as the nets get them, NaN where not recorded."""
    return sample.clinical.astype(np.float64)


def measure_zones(sample: Sample) -> Floats:
    """Mean level (5 · t), 0 to 1, of each radial zone in each key frame."""
    return average_zones(sample.frames).ravel()


def measure_curve(sample: Sample) -> Floats:
    """Parameters of the lesion's time-intensity curve, and how much brighter it is than the liver around it (17).

    Times and PE_dB as `client.data.analysis.tic.compute_parameters` has them; slopes and areas over PE, since intensity
    has no unit; NaN where the clip does not show one. Middle zones over the last one, as a difference of levels, so as
    the logarithm of a ratio: in the first key frame, at the peak, in the last one, and the most and the least of all.
    """
    found = sample.quality
    rise = found.get("PE", np.nan)
    own = [found.get(name, np.nan) for name in _TIMES] + [found.get(name, np.nan) / rise for name in _AMOUNTS]
    zones = average_zones(sample.frames)
    over = zones[:2].mean(axis=0) - zones[-1]
    peak = int(np.argmax(sample.curve))
    return np.array([*own, over[0], over[peak], over[-1], over.max(), over.min()], dtype=np.float64)


def average_zones(frames: U8) -> Floats:
    """Mean level (5 t), 0 to 1, of the radial zones of frames (t h w).

    >>> average_zones(np.full((2, 8, 8), 255, dtype=np.uint8)).tolist()[0]
    [1.0, 1.0]
    """
    rows, columns = frames.shape[1:]
    y, x = (np.abs((np.arange(n) + 0.5) / n * 2 - 1) for n in (rows, columns))
    zone = np.minimum(np.hypot(y[:, None], x[None, :]) * ZONES, ZONES - 1).astype(np.int64).ravel()  # (h w)
    flat = frames.reshape(len(frames), -1).astype(np.float64) / 255
    return np.stack([flat[:, zone == place].mean(axis=1) for place in range(ZONES)])
