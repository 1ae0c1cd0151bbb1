"""Draw the enhancement pattern of a lesion.

Frequencies: Dietrich 2007 (haemangioma), Li 2014 and Chen 2018 (HCC, ICC), PubMed 26649338 (abscess),
10.1007/s00330-013-2849-3 (FNH), PMC6531526 (adenoma). Lengths in mm, times in s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sim.phantom.distributions import LogNormal, draw_value
from sim.phantom.kinetics import HYPERVASCULAR

Kind = Literal["diffuse", "rim", "nodular", "cavity", "spoke", "inward", "mosaic", "patchy"]

RIM_SHARE = {"CRC": 0.72, "pancreas": 0.65, "lung": 0.65, "gastric": 0.6}  # of metastases, by primary


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
    return float(np.clip(0.08 + 0.42 * grade + 0.08 * rng.standard_normal(), 0.05, 0.7))


def _draw_hcc(_subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    if rng.random() < 0.03:
        return Pattern("rim", _draw_unevenness(grade, rng), rim_mm=float(rng.uniform(3, 6)), core_blood=0.5)
    nodes = size_cm > 3 and rng.random() < 0.30 + 0.5 * grade
    pattern = Pattern(
        "mosaic" if nodes else "diffuse",
        texture=_draw_unevenness(grade, rng) * (1.0 if size_cm > 3 else 0.6),
        nodules=int(rng.integers(2, 6)) if nodes else 0,
        feeders=int(rng.integers(1, 4)) if rng.random() < 0.53 else 0,
        capsule=bool(rng.random() < 0.26),
    )
    return replace(pattern, necrosis=_draw_necrosis(size_cm, grade, rng) if size_cm > 4 else 0.0)


def _draw_hm(primary: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    share = 0.12 if primary in HYPERVASCULAR else RIM_SHARE.get(primary, 0.62)
    if rng.random() >= share:
        return Pattern("diffuse", _draw_unevenness(grade, rng), necrosis=_draw_necrosis(size_cm, grade, rng))
    core = float(rng.uniform(0.0, 0.5))
    return Pattern(
        "rim",
        _draw_unevenness(grade, rng),
        rim_mm=float(rng.uniform(2, 6)),
        core_blood=core,
        core_pool=float(rng.uniform(0.35, 0.9)) * (0.5 + core),
    )


def _draw_icc(_subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    if rng.random() >= 0.50:
        uneven = min(_draw_unevenness(grade, rng) + 0.12, 0.8)
        return Pattern("diffuse", uneven, necrosis=_draw_necrosis(size_cm, grade, rng))
    return Pattern(
        "rim",
        _draw_unevenness(grade, rng),
        rim_mm=float(rng.uniform(5, 12)),
        core_blood=float(rng.uniform(0.3, 0.7)),
        core_pool=float(rng.uniform(0.5, 0.9)),
        persistent_rim=bool(rng.random() < 0.67),
    )


def _draw_hh(_subtype: str, _grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    small = size_cm <= 3
    flash, nodular = (0.32, 0.56) if small else (0.05, 0.87)
    chance = float(rng.random())
    if chance < flash:
        return Pattern("diffuse")
    fill = draw_value(LogNormal(90 * (0.7 if small else 1.2), 2.2, 8, 600), rng)
    stop = float(rng.uniform(0.6, 0.9)) if size_cm > 5 else 1.0
    if chance < flash + nodular:
        return Pattern("nodular", fill_s=fill, fill_stop=stop, nodules=int(rng.integers(3, 9)))
    return Pattern("inward", fill_s=0.5 * fill, fill_stop=stop)


def _draw_ha(_subtype: str, _grade: float, _size_cm: float, rng: np.random.Generator) -> Pattern:
    return Pattern(
        "cavity",
        texture=0.2,
        rim_mm=float(rng.uniform(2, 6)),
        nodules=1 if rng.random() < 0.35 else int(rng.integers(2, 8)),
        septa=bool(rng.random() < 0.415),
        surrounding=bool(rng.random() < 0.38),
    )


def _draw_other(subtype: str, grade: float, size_cm: float, rng: np.random.Generator) -> Pattern:
    if subtype == "FNH":
        scar = bool(rng.random() < (0.43 if size_cm >= 3 else 0.15))
        spokes = int(rng.integers(4, 9))
        return Pattern("spoke", fill_s=float(rng.uniform(2, 5)), nodules=spokes, feeders=1, scar=scar)
    if subtype == "HCA":
        inward = rng.random() < 0.89
        rim = bool(rng.random() < 0.56)
        seconds = float(rng.uniform(2, 6))
        return Pattern("inward" if inward else "spoke", 0.15, fill_s=seconds, rim_mm=3.0, persistent_rim=rim)
    if subtype == "SAR":
        return Pattern("patchy", texture=0.7, necrosis=float(rng.uniform(0.3, 0.6)))
    return Pattern("diffuse", texture=0.08 + 0.15 * grade)
