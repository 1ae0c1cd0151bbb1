"""Draw the enhancement pattern of a lesion.

Frequencies: Dietrich 2007 (haemangioma), Li 2014 and Chen 2018 (HCC, ICC), PubMed 26649338 (abscess),
10.1007/s00330-013-2849-3 (FNH), PMC6531526 (adenoma). Lengths in mm, times in s.

No number belongs to one type alone: texture, thickness of rims and contrast of cores overlap. The grade of an HCC shows
in feeding arteries, in a nodule in the nodule and in the loss of the capsule, none of which looks like a metastasis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from sim.phantom.distributions import LogNormal, correlate, draw_value
from sim.phantom.kinetics import HYPERVASCULAR, convert_grade_to_z

Kind = Literal["diffuse", "rim", "nodular", "cavity", "spoke", "inward", "mosaic", "patchy"]

RIM_SHARE = {"CRC": 0.72, "pancreas": 0.65, "lung": 0.65, "gastric": 0.6}  # of metastases, by primary
GRADE_SIGNS = 0.8
"""Correlation of the grade of an HCC with what is drawn for each of its signs."""


@dataclass(frozen=True)
class Pattern:
    """The spatial pattern of enhancement; parameters that a kind does not use keep their defaults."""

    kind: Kind
    texture: float = 0.10  # standard deviation of the log of blood volume over the lesion
    rim_mm: float = 0.0
    core_blood: float = 1.0  # arterial blood in the centre relative to the rim
    core_pool: float = 1.0  # portal and late contrast in the centre relative to the rim
    persistent_rim: bool = False  # the rim keeps its contrast while the centre washes out
    fill_s: float = 0.0  # from the first to the last point that fills
    fill_stop: float = 1.0  # share of the way that the front goes
    nodules: int = 0
    inner_blood: float = 1.0  # arterial blood of a nodule in the nodule relative to the rest; 1 is none
    feeders: int = 0
    capsule: bool = False
    scar: bool = False
    septa: bool = False
    surrounding: bool = False  # transient arterial hyperenhancement of the liver around it
    necrosis: float = 0.0  # share of the inner area that never enhances


def draw_pattern(fll_type: str, subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    """Draw a lesion's pattern; a higher `grade` in [0, 1], 1 = poorly differentiated, makes it less homogeneous."""
    if fll_type == "OT":
        return _draw_other(subtype, grade, size_cm, rng)
    return {"HCC": _draw_hcc, "HM": _draw_hm, "ICC": _draw_icc, "HH": _draw_hh, "HA": _draw_ha}[fll_type](
        subtype, grade, size_cm, rng
    )


def _draw_necrosis(size_cm: float, grade: float, rng: np.random.Generator) -> float:
    likely = 0.04 * size_cm + 0.25 * grade
    return float(rng.uniform(0.08, 0.35)) if rng.random() < min(likely, 0.6) else 0.0


def _draw_unevenness(grade: float, rng: np.random.Generator) -> float:
    return float(np.clip(0.10 + 0.30 * grade + 0.12 * rng.standard_normal(), 0.05, 0.7))


def _draw_feeders(share: float, z: float) -> int:
    """Feeding arteries of a lesion at `z` standard deviations, of which this share has some: 1 to 4, or none."""
    over = z - NormalDist().inv_cdf(1 - share)
    return min(1 + int(1.6 * over), 4) if over > 0 else 0


def _draw_focus(z: float) -> float:
    """Arterial blood of a nodule in the nodule at `z` standard deviations; below the middle there is none."""
    return math.exp(0.35 + 0.4 * z) if z > 0 else 1.0


def _draw_rim(rim_mm: tuple[float, float], core: float, grade: float, rng: np.random.Generator) -> Pattern:
    """A rim around a centre with the share `core` of its arterial blood."""
    pool = float(rng.uniform(0.35, 0.9)) * (0.5 + core)
    return Pattern("rim", _draw_unevenness(grade, rng), float(rng.uniform(*rim_mm)), core, pool)


def _draw_hcc(_subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    feeding, capsule, inner, nodes = (
        correlate(float(rng.standard_normal()), convert_grade_to_z(grade), link)
        for link in (GRADE_SIGNS, -GRADE_SIGNS, GRADE_SIGNS, 0.5)
    )
    feeders = _draw_feeders(0.53, feeding)
    if rng.random() < 0.045:
        return replace(_draw_rim((3, 8), float(rng.uniform(0.1, 0.7)), grade, rng), feeders=feeders)
    mosaic = size_cm > 3 and nodes > -0.1
    return Pattern(
        "mosaic" if mosaic else "diffuse",
        texture=_draw_unevenness(grade, rng) * (1.0 if size_cm > 3 else 0.7),
        nodules=int(rng.integers(2, 7)) if mosaic else 0,
        inner_blood=_draw_focus(inner),
        feeders=feeders,
        capsule=capsule > 0.64,
        necrosis=_draw_necrosis(size_cm, grade, rng) if size_cm > 4 else 0.0,
    )


def _draw_solid(
    grade: float, size_cm: float, feeding: float, rng: np.random.Generator, more_uneven: float = 0.0
) -> Pattern:
    """A metastasis or ICC without a rim; `feeding` is the share with feeding arteries."""
    mosaic = size_cm > 3 and rng.random() < 0.2
    return Pattern(
        "mosaic" if mosaic else "diffuse",
        texture=min(_draw_unevenness(grade, rng) + more_uneven, 0.8),
        nodules=int(rng.integers(2, 6)) if mosaic else 0,
        inner_blood=_draw_focus(float(rng.standard_normal()) - 1.0),
        feeders=_draw_feeders(feeding, float(rng.standard_normal())),
        capsule=bool(rng.random() < 0.08),
        necrosis=_draw_necrosis(size_cm, grade, rng),
    )


def _draw_hm(primary: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    share = 0.12 if primary in HYPERVASCULAR else RIM_SHARE.get(primary, 0.62)
    if rng.random() >= share:
        return _draw_solid(grade, size_cm, 0.45 if primary in HYPERVASCULAR else 0.2, rng)
    if rng.random() < 0.06:  # melted, as from squamous cell cancers
        return Pattern("cavity", _draw_unevenness(grade, rng), rim_mm=float(rng.uniform(3, 7)), nodules=1)
    return _draw_rim((2, 6), float(rng.uniform(0.0, 0.5)), grade, rng)


def _draw_icc(_subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    if rng.random() >= 0.50:
        return _draw_solid(grade, size_cm, 0.4, rng, more_uneven=0.06)
    rim = _draw_rim((5, 12), float(rng.uniform(0.2, 0.7)), grade, rng)
    return replace(rim, persistent_rim=bool(rng.random() < 0.67))


def _draw_hh(_subtype: str, _grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    small = size_cm <= 3
    flash, nodular = (0.32, 0.56) if small else (0.05, 0.87)
    chance = float(rng.random())
    texture = _draw_unevenness(0.2, rng)
    if chance < flash:
        return Pattern("diffuse", texture)
    fill = draw_value(LogNormal(90 * (0.7 if small else 1.2), 2.2, 8, 600), rng)
    stop = float(rng.uniform(0.6, 0.9)) if size_cm > 5 else 1.0
    if chance < flash + nodular:
        return Pattern("nodular", texture, fill_s=fill, fill_stop=stop, nodules=int(rng.integers(3, 9)))
    return Pattern("inward", texture, fill_s=0.5 * fill, fill_stop=stop)


def _draw_ha(_subtype: str, _grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    """An abscess; an early one has melted in part, so its wall is thick and its centre takes a little contrast."""
    surrounding = bool(rng.random() < 0.38)
    if rng.random() < 0.15:
        early = _draw_rim((4, 10), float(rng.uniform(0.05, 0.5)), 0.5, rng)
        return replace(early, surrounding=surrounding, necrosis=_draw_necrosis(size_cm, 1.0, rng))
    return Pattern(
        "cavity",
        texture=_draw_unevenness(0.4, rng),
        rim_mm=float(rng.uniform(2, 6)),
        nodules=1 if rng.random() < 0.35 else int(rng.integers(2, 8)),
        septa=bool(rng.random() < 0.49),  # 41.5 % of all
        surrounding=surrounding,
    )


def _draw_other(subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    if subtype == "FNH":
        scar = bool(rng.random() < (0.43 if size_cm >= 3 else 0.15))
        spokes = int(rng.integers(4, 9))
        seconds = float(rng.uniform(2, 5))
        return Pattern("spoke", _draw_unevenness(0.1, rng), fill_s=seconds, nodules=spokes, feeders=1, scar=scar)
    if subtype == "HCA":
        inward = rng.random() < 0.89
        rim = bool(rng.random() < 0.56)
        seconds = float(rng.uniform(2, 6))
        kind: Kind = "inward" if inward else "spoke"
        thick = float(rng.uniform(2, 5))
        return Pattern(kind, _draw_unevenness(0.2, rng), fill_s=seconds, rim_mm=thick, persistent_rim=rim)
    if subtype == "SAR":
        return Pattern("patchy", texture=float(rng.uniform(0.5, 0.8)), necrosis=float(rng.uniform(0.3, 0.6)))
    if subtype == "LIP":
        return Pattern("diffuse", _draw_unevenness(0.0, rng))
    return _draw_solid(grade, size_cm, 0.3, rng)
