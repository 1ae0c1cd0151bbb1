"""Time-intensity curves of the liver, with its dual blood supply, and of the lesion types.

Peak-normalised functions of the time after injection: F, a lognormal first pass through the arteries, and P,
the portal and recirculating pool,

    parenchyma(t) = 0.30 F(t; AT + 2, 1.25 m, s) + P(t)
    lesion(t)     = A F(t; AT + d, m, s) + [rl + (r0 - rl) exp(-(t - AT - 12)+ / tw)] P(t)

with priors calibrated so that time to peak, washout onset and its share per type match the literature
(Strouthos 2010 for the form; Wong 2009, Li 2014, Chen 2018 and others for the outcome). ICC, metastasis and
lymphoma are similar on purpose, as in reality.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from sim.phantom.distributions import LogNormal, Normal, Prior, correlate, draw_value

Seconds = npt.NDArray[np.float64]

WASHOUT_DB = -2.0  # operational: the lesion lies this far below the parenchyma after its arterial peak
FLOOR = 1e-3  # added before taking dB, as electronic noise does
HYPERVASCULAR = frozenset({"NEN", "breast", "renal", "melanoma", "GIST", "thyroid"})


@dataclass(frozen=True)
class Liver:
    """The liver of one patient, which all lesions share; times are in seconds after injection, or in seconds."""

    arrival_s: float
    transit_s: float
    shape: float
    portal_s: float
    rise_s: float
    decay_s: float
    vein_s: float


@dataclass(frozen=True)
class Kinetics:
    """One tissue: arterial blood volume (parenchyma peak = 1), delay, and its share of the pool early and late."""

    blood: float
    delay_s: float
    early: float
    late: float
    washout_s: float


@dataclass(frozen=True)
class Tissue:
    """The priors of `Kinetics` for one type."""

    blood: Prior
    delay_s: Prior
    early: Prior
    late: Prior
    washout_s: Prior


TISSUES: Mapping[str, Tissue] = {
    "HCC": Tissue(
        LogNormal(1.6, 1.35, 0.6, 3.5),
        Normal(-0.3, 0.8, -1.5, 1.5),
        LogNormal(1.0, 1.18, 0.65, 1.35),
        LogNormal(0.42, 1.55, 0.12, 1.0),
        LogNormal(55, 1.9, 12, 300),
    ),
    "ICC": Tissue(
        LogNormal(1.05, 1.35, 0.4, 2.2),
        Normal(0.5, 1.0, -1, 3),
        LogNormal(0.82, 1.25, 0.45, 1.25),
        LogNormal(0.15, 1.8, 0.03, 0.45),
        LogNormal(30, 1.75, 8, 90),
    ),
    "HM": Tissue(
        LogNormal(0.95, 1.55, 0.25, 2.6),
        Normal(0.5, 1.0, -1, 3),
        LogNormal(0.80, 1.35, 0.3, 1.3),
        LogNormal(0.13, 1.8, 0.02, 0.45),
        LogNormal(32, 2.0, 8, 90),
    ),
    "HH": Tissue(
        LogNormal(0.9, 1.4, 0.3, 2.0),
        Normal(1.0, 1.2, -1, 4),
        LogNormal(1.1, 1.15, 0.8, 1.5),
        LogNormal(1.12, 1.15, 0.8, 1.6),
        LogNormal(100, 1.6, 20, 300),
    ),
    "HA": Tissue(
        LogNormal(1.3, 1.3, 0.6, 2.4),
        Normal(0.0, 0.8, -1, 2),
        LogNormal(0.85, 1.2, 0.5, 1.2),
        LogNormal(0.62, 1.35, 0.25, 1.1),
        LogNormal(60, 1.6, 20, 200),
    ),
    "FNH": Tissue(
        LogNormal(2.3, 1.25, 1.3, 4),
        Normal(-0.8, 0.6, -2, 1),
        LogNormal(1.12, 1.1, 0.9, 1.4),
        LogNormal(1.05, 1.12, 0.8, 1.4),
        LogNormal(100, 1.6, 20, 300),
    ),
    "HCA": Tissue(
        LogNormal(1.7, 1.3, 0.9, 3),
        Normal(-0.2, 0.8, -1.5, 2),
        LogNormal(0.98, 1.12, 0.7, 1.3),
        LogNormal(0.50, 1.5, 0.2, 1.1),
        LogNormal(75, 1.7, 20, 250),
    ),
    "LYM": Tissue(
        LogNormal(0.95, 1.4, 0.4, 2),
        Normal(0.3, 1.0, -1, 2.5),
        LogNormal(0.75, 1.3, 0.4, 1.1),
        LogNormal(0.16, 1.7, 0.04, 0.5),
        LogNormal(28, 1.7, 8, 100),
    ),
    "SAR": Tissue(
        LogNormal(0.33, 1.3, 0.2, 0.5),
        Normal(1.0, 1.0, -1, 3),
        LogNormal(0.4, 1.2, 0.3, 0.5),
        LogNormal(0.2, 1.5, 0.1, 0.4),
        LogNormal(40, 1.6, 10, 150),
    ),
    "NEN": Tissue(
        LogNormal(1.7, 1.3, 0.9, 3),
        Normal(-0.2, 0.8, -1.5, 2),
        LogNormal(0.9, 1.2, 0.5, 1.3),
        LogNormal(0.3, 1.7, 0.08, 0.8),
        LogNormal(45, 1.8, 10, 200),
    ),
    "LIP": Tissue(
        LogNormal(0.5, 1.35, 0.28, 1.1),
        Normal(0.5, 0.8, -1, 2),
        LogNormal(1.0, 1.1, 0.85, 1.25),
        LogNormal(1.02, 1.1, 0.85, 1.3),
        LogNormal(100, 1.6, 20, 300),
    ),
}


def select_tissue(fll_type: str, subtype: str) -> str:
    """The row of `TISSUES` for a lesion: its type, or the subtype of an OT."""
    return subtype if fll_type == "OT" else fll_type


def draw_liver(cirrhosis: bool, rng: np.random.Generator) -> Liver:
    """Draw a patient's liver; cirrhosis shortens the arterio-portal lag and the hepatic vein arrival time."""
    arrival = draw_value(Normal(12.5 if cirrhosis else 13.3, 2.5, 8, 20), rng)
    lag = draw_value(Normal(8.5 if cirrhosis else 11.0, 2.3, 5, 16), rng)
    vein = draw_value(Normal(4.0 if cirrhosis else 10.5, 1.5, 2, 16), rng)
    return Liver(
        arrival_s=arrival,
        transit_s=draw_value(LogNormal(9, 1.25, 5, 16), rng),
        shape=draw_value(Normal(0.55, 0.06, 0.4, 0.7), rng),
        portal_s=arrival + lag,
        rise_s=draw_value(LogNormal(14, 1.2, 9, 22), rng),
        decay_s=draw_value(LogNormal(210, 1.25, 130, 340), rng),
        vein_s=arrival + vein,
    )


def convert_grade_to_z(grade: float) -> float:
    """A grade in [0, 1] (0 = well differentiated) as a standard normal number."""
    return NormalDist().inv_cdf(min(max(grade, 0.02), 0.98))


def draw_kinetics(fll_type: str, subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Kinetics:
    """Draw one lesion's tissue.

    In HCC a poorer grade and a larger size shorten the washout and deepen it (Li 2014); in metastases a
    hypervascular primary raises the arterial blood volume. Neither changes the type's own distribution much.
    """
    tissue = TISSUES[select_tissue(fll_type, subtype)]
    blood, delay, early, late, washout = (float(z) for z in rng.standard_normal(5))
    if fll_type == "HCC":
        bad = correlate(float(np.clip(math.log(size_cm / 3.9) / math.log(1.7), -2, 2)), convert_grade_to_z(grade), 0.9)
        late = correlate(late, bad, -0.45)
        washout = correlate(washout, bad, -0.55)
    if fll_type == "HM":
        blood = 0.85 * blood + (0.9 if subtype in HYPERVASCULAR else -0.15)
    return Kinetics(
        blood=tissue.blood.at(blood),
        delay_s=tissue.delay_s.at(delay),
        early=tissue.early.at(early),
        late=tissue.late.at(late),
        washout_s=tissue.washout_s.at(washout),
    )


def first_pass_curve(seconds: Seconds, start_s: float, mode_s: float, shape: float) -> Seconds:
    """Lognormal bolus (Strouthos et al. 2010), peak 1 at `start_s + mode_s`, zero before `start_s`.

    >>> first_pass_curve(np.array([5.0, 19.0]), 10.0, 9.0, 0.5).tolist()
    [0.0, 1.0]
    """
    after = np.clip(seconds - start_s, 1e-6, None)
    centre = math.log(mode_s) + shape**2
    logs = np.log(after)
    # log of the lognormal density over its value at the mode
    exponent = -((logs - centre) ** 2 - shape**4) / (2 * shape**2) - logs + math.log(mode_s)
    return np.where(seconds > start_s, np.exp(np.maximum(exponent, -60.0)), 0.0)


def _raw_pool_curve(seconds: Seconds, liver: Liver, delay_s: float) -> Seconds:
    after = np.clip(seconds - liver.portal_s - delay_s, 0, None)
    return (1 - np.exp(-((after / liver.rise_s) ** 2))) * np.exp(-after / liver.decay_s)


def pool_curve(seconds: Seconds, liver: Liver, delay_s: float = 0.0) -> Seconds:
    """Contrast (t) of the portal and recirculating pool P, peak 1."""
    grid = liver.portal_s + np.arange(0.0, 5 * liver.rise_s, 0.25)
    return _raw_pool_curve(seconds, liver, delay_s) / float(_raw_pool_curve(grid, liver, 0.0).max())


def parenchyma_curve(seconds: Seconds, liver: Liver) -> Seconds:
    """Contrast (t) of the liver parenchyma; the pool's peak is 1."""
    arterial = first_pass_curve(seconds, liver.arrival_s + 2, 1.25 * liver.transit_s, liver.shape)
    return 0.30 * arterial + pool_curve(seconds, liver)


def lesion_curve(seconds: Seconds, liver: Liver, tissue: Kinetics, delay_s: float = 0.0) -> Seconds:
    """Contrast (t) of one tissue, at points that the bolus reaches `delay_s` after the first ones.

    Late points get a flatter bolus, so its height decays with the delay, and no contrast before it (the centre of a
    haemangioma is black until it is filled).
    """
    start = liver.arrival_s + tissue.delay_s + delay_s
    arterial = first_pass_curve(seconds, start, liver.transit_s, liver.shape) * math.exp(-delay_s / 15)
    since = np.clip(seconds - liver.arrival_s - 12, 0, None)
    share = tissue.late + (tissue.early - tissue.late) * np.exp(-since / tissue.washout_s)
    reached = 1.0 if delay_s <= 0 else np.clip((seconds - start) / 4.0, 0, 1)
    return tissue.blood * arterial + share * pool_curve(seconds, liver) * reached


def find_washout_onset_s(tissue: Seconds, liver_curve: Seconds, seconds: Seconds, arrival_s: float) -> float:
    """Onset of wash-out: first time after the arterial peak with the tissue 2 dB below the parenchyma; inf if none."""
    difference = 10 * np.log10((tissue + FLOOR) / (liver_curve + FLOOR))
    peak = int(np.argmax(np.where(seconds < arrival_s + 30, tissue, 0)))
    below = np.flatnonzero((np.arange(seconds.size) > peak) & (difference < WASHOUT_DB))
    return float(seconds[below[0]]) if below.size else math.inf


def compute_washout_onset_s(liver: Liver, tissue: Kinetics) -> float:
    """Onset of a tissue's wash-out within 240 s; inf if there is none."""
    fine = np.arange(0, 240, 0.1)
    curves = lesion_curve(fine, liver, tissue), parenchyma_curve(fine, liver)
    return find_washout_onset_s(*curves, fine, liver.arrival_s)
