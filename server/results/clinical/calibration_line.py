"""Calibration slope and intercept (Cox 1958; Van Calster et al. 2019, BMC Med 17:230) from the histogram of scores.

A lesion counts with the log odds of the centre of its bin. The slope is that of a logistic regression on them; the
intercept (calibration in the large) is that of one with slope 1. Intervals are from the sandwich estimator (White
1982), whose middle is the variance of the counts: design effect and noise included.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ceus_models.metrics.score_bins import CENTRES
from server.results.intervals import round_count
from server.results.metrics import Floats
from server.results.replicates import Resampling
from server.results.uncertainty.proportions import normal_quantile

_LOG_ODDS = np.log(CENTRES / (1 - CENTRES))
_MOST_STEPS = 50
_TOLERANCE = 1e-10
_LARGEST = 30.0
"""Coefficients beyond this only follow from lesions that the scores separate without a rest: there is no estimate."""


def calibration_line(histogram: Floats, sampling: Resampling) -> dict[str, Any]:
    """`slope` and `intercept` as {value, low, high, n} of a histogram (2 32) [negative or positive, bin].

    Without values where the lesions are of one class, or are separated, or all in one bin.
    """
    counts = np.maximum(histogram, 0.0)
    line = np.stack([np.ones_like(_LOG_ODDS), _LOG_ODDS], axis=1)
    fitted = {
        "slope": _fit(counts, line, np.zeros_like(_LOG_ODDS), sampling),
        "intercept": _fit(counts, line[:, :1], _LOG_ODDS, sampling),
    }
    lesions = round_count(histogram.sum())
    return {name: _format(found, lesions) for name, found in fitted.items()}


def _fit(counts: Floats, x: Floats, offset: Floats, sampling: Resampling) -> tuple[float, float] | None:
    """The last coefficient of a logistic regression on x (32 k) and its standard error, by Newton's method."""
    lesions, beta = counts.sum(0), np.zeros(x.shape[1])
    if not (counts.sum(1) > 0).all():
        return None
    for _ in range(_MOST_STEPS):
        p = 1 / (1 + np.exp(-np.clip(offset + x @ beta, -_LARGEST, _LARGEST)))
        information = (x * (lesions * p * (1 - p))[:, None]).T @ x
        if np.linalg.cond(information) > 1 / _TOLERANCE:
            return None
        step = np.linalg.solve(information, x.T @ (counts[1] - lesions * p))
        beta = beta + step
        if np.abs(beta).max() > _LARGEST:
            return None
        if np.abs(step).max() < _TOLERANCE:
            break
    else:
        return None
    residuals = np.stack([-p, 1 - p])  # (2 32) of a negative and of a positive lesion
    spread = (residuals**2 * (counts * sampling.design + sampling.noise_sd**2)).sum(0)
    inverse = np.linalg.inv(information)
    covariance = inverse @ ((x * spread[:, None]).T @ x) @ inverse
    return float(beta[-1]), float(np.sqrt(covariance[-1, -1]))


def _format(found: tuple[float, float] | None, lesions: int) -> dict[str, Any]:
    if found is None:
        return {"value": None, "low": None, "high": None, "n": lesions}
    value, half = found[0], normal_quantile(0.95) * found[1]
    return {"value": value, "low": value - half, "high": value + half, "n": lesions}
