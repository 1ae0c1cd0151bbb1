"""How much sites differ in accuracy: a random-effects meta-analysis of the sites that may be shown.

Log odds of the accuracies, variance between sites by DerSimonian & Laird (1986), interval of the mean by Hartung-Knapp
and Sidik-Jonkman (IntHout et al. 2014), I² (Higgins & Thompson 2002), and the 95 % prediction interval for the accuracy
of another site (Higgins et al. 2009).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from server.results.uncertainty.distributions import t_quantile

FEWEST_SITES = 3


def summarize_heterogeneity(sites: Mapping[str, Mapping[str, Any]], design: float = 1.0) -> dict[str, Any]:
    """Pool the accuracies of sites; {} with fewer than three.

    Args:
        sites: name → {n, right}.
        design: effect of patients with several lesions.

    Returns:
        `sites`, `mean` as {value, low, high, n}, `prediction`: {low, high}, `i_squared`, `tau_squared` (of the log
        odds), `q`.
    """
    counts = np.array([(float(one["right"]), float(one["n"] - one["right"])) for one in sites.values()]).reshape(-1, 2)
    if len(counts) < FEWEST_SITES:
        return {}
    # a site without a wrong (or a right) answer has odds by half a lesion of each (Haldane 1956)
    filled = counts + 0.5 * (counts == 0).any(axis=1, keepdims=True)
    effects, variances = np.log(filled[:, 0] / filled[:, 1]), design * (1 / filled).sum(1)
    degrees, weights = len(counts) - 1, 1 / variances
    q = float((weights * (effects - np.average(effects, weights=weights)) ** 2).sum())
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    tau_squared = max(0.0, (q - degrees) / float(scale))
    weights = 1 / (variances + tau_squared)
    mean = float(np.average(effects, weights=weights))
    # never narrower than without it, or sites that happen to agree would leave no interval (Röver et al. 2015)
    excess = max(1.0, float((weights * (effects - mean) ** 2).sum()) / degrees)
    half = t_quantile(degrees) * math.sqrt(excess / float(weights.sum()))
    ahead = t_quantile(degrees - 1) * math.sqrt(tau_squared + 1 / float(weights.sum()))
    return {
        "sites": len(counts),
        "mean": {**_to_shares(mean, half), "value": _to_share(mean), "n": round(float(counts.sum()))},
        "prediction": _to_shares(mean, ahead),
        "i_squared": max(0.0, (q - degrees) / q) if q > 0 else 0.0,
        "tau_squared": tau_squared,
        "q": q,
    }


def _to_share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _to_shares(mean: float, half: float) -> dict[str, float]:
    return {"low": _to_share(mean - half), "high": _to_share(mean + half)}
