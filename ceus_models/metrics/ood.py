"""Out-of-distribution detection: figures of the training lesions as sums, and z-scores of a new lesion.

The figures describe brightness, enhancement, motion and the time-intensity curve. Skewed ones are logarithms, so that
mean and standard deviation describe them; all are within the limits that the screening of sums allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked

from ceus_models.study.sample import Sample

Floats = npt.NDArray[np.float64]
REQUEST_TENSOR = "figures"
"""A tally task with an input of this name requests the sums; older versions neither send nor answer it."""
MIN_SD = 1e-3
MIN_LESIONS = 20
"""A figure that fewer training lesions show is not compared."""
FAR, OUT = 4.0, 5.0
"""z-scores beyond which a figure is unusual, and beyond which the lesion is out of distribution. 5 % and 2 % of the
phantom lesions of centers outside training are (docs/decisions.md)."""
COMMON_SHARE = 0.9
"""A lesion that lacks a figure is unusual if a larger share than this of the training lesions shows it."""


def _log(value: float, least: float) -> float:
    return math.log(max(value, least)) if math.isfinite(value) else math.nan


def _make_figure(name: str) -> Callable[[Sample], float]:
    """A function that reads a quality figure of a sample, NaN where the clip does not show it."""
    return lambda sample: float(sample.quality.get(name, math.nan))


def _make_log_figure(name: str, least: float = 0.1) -> Callable[[Sample], float]:
    return lambda sample: _log(float(sample.quality.get(name, math.nan)), least)


def _compute_level(frames: npt.NDArray[np.uint8]) -> float:
    return float(frames.mean(dtype=np.float64)) / 255


def _compute_change(sample: Sample) -> float:
    """Mean absolute difference between neighbouring key frames, of their levels 0-1."""
    steps = np.abs(np.diff(sample.frames.astype(np.int16), axis=0))
    return _log(float(steps.mean()) / 255, 1e-4) if steps.size else math.nan


def _compute_flow(sample: Sample) -> float:
    """Root mean square of the flow, px."""
    squares = np.square(sample.flow.astype(np.float64) * sample.flow_scale)
    return 0.5 * _log(float(squares.mean()), 1e-6) if squares.size else math.nan


FIGURES: Mapping[str, tuple[str, Callable[[Sample], float]]] = {
    "level_mean": ("brightness", lambda s: _compute_level(s.frames)),
    "level_sd": ("contrast of the levels", lambda s: float((s.frames / 255.0).std())),
    "level_first": ("brightness of the first key frame", lambda s: _log(_compute_level(s.frames[:1]), 0.004)),
    "level_last": ("brightness at the end", lambda s: _compute_level(s.frames[-1:])),
    "change": ("change from key frame to key frame", _compute_change),
    "flow": ("motion in the crop", _compute_flow),
    "PE_dB": ("peak enhancement", _make_figure("PE_dB")),
    "TTP": ("time to peak", _make_log_figure("TTP")),
    "RT": ("rise time", _make_log_figure("RT")),
    "mTT": ("mean transit time", _make_log_figure("mTT")),
}
"""Name → (description, function of a sample; NaN where the lesion does not show the figure)."""


@checked(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Moments:
    """Mean and standard deviation of a figure over the `lesions` that show it."""

    lesions: int
    mean: float
    sd: float


@checked(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class TrainingFigures:
    """The training statistics of a bundle: `figures` by name of FIGURES, over `lesions` in all."""

    lesions: int
    figures: Mapping[str, Moments]


@dataclass(frozen=True)
class UnusualFigure:
    """An unusual figure of one lesion; z is its z-score in the training lesions, NaN where the lesion lacks it."""

    figure: str
    words: str
    value: float
    z: float

    @property
    def is_out(self) -> bool:
        """Whether the lesion is out of distribution by this figure."""
        return math.isnan(self.z) or abs(self.z) > OUT

    def __str__(self) -> str:
        """The text of a warning."""
        if math.isnan(self.z):
            return f"{self.words} not found"
        return f"{self.words} {abs(self.z):.1f} SD {'above' if self.z > 0 else 'below'}"


def compute_figures(sample: Sample) -> Floats:
    """Figures (k) of one lesion in the order of FIGURES, NaN where it does not show one."""
    return np.array([figure(sample) for _, figure in FIGURES.values()])


def sum_figures(samples: Sequence[Sample], cell: int) -> Floats:
    """Sums (k 3) of each figure: [n, Σx, Σx²]; zeros where fewer than `cell` lesions show it."""
    values = np.stack([compute_figures(sample) for sample in samples])  # (n k)
    known = ~np.isnan(values)
    x = np.where(known, values, 0.0)
    moments = np.stack([known.sum(0).astype(np.float64), x.sum(0), (x * x).sum(0)], axis=1)
    return np.where(moments[:, :1] < cell, 0.0, moments)


def compute_training_figures(sums: Floats, lesions: int) -> TrainingFigures:
    """Means and standard deviations from the sums of all sites.

    Args:
        sums: (k 3) from `sum_figures`, added over sites.
        lesions: number of training lesions.
    """
    found: dict[str, Moments] = {}
    for name, (n, total, squares) in zip(FIGURES, sums.tolist(), strict=True):
        if n >= MIN_LESIONS:
            mean = total / n
            found[name] = Moments(int(n), mean, max(math.sqrt(max(squares / n - mean * mean, 0.0)), MIN_SD))
    return TrainingFigures(lesions, found)


def find_unusual_figures(sample: Sample, typical: TrainingFigures) -> list[UnusualFigure]:
    """The figures of a lesion that are far from those of the training lesions, the farthest first."""
    found: list[UnusualFigure] = []
    for (name, (words, _)), value in zip(FIGURES.items(), compute_figures(sample).tolist(), strict=True):
        usual = typical.figures.get(name)
        if usual is None:
            continue
        z = (value - usual.mean) / usual.sd
        missing = math.isnan(z) and usual.lesions > COMMON_SHARE * typical.lesions
        if missing or abs(z) > FAR:
            found.append(UnusualFigure(name, words, value, z))
    return sorted(found, key=lambda u: -math.inf if math.isnan(u.z) else -abs(u.z))
