"""B-mode: echogenicity of liver, lesion and vessels in dB relative to the liver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim.phantom.distributions import LogNormal, Normal, draw_value
from sim.phantom.random_fields import F32, draw_smooth_field, soft_step
from sim.phantom.shapes import Grid, Plane
from sim.phantom.vessels import Vessels

LESION_DB: Mapping[str, Normal] = {
    "HCC": Normal(-2.5, 3.5, -9, 6),
    "HM": Normal(-2.0, 4.5, -10, 8),
    "ICC": Normal(-2.0, 4.0, -9, 7),
    "HH": Normal(3.5, 4.0, -7, 11),
    "HA": Normal(-4.0, 3.0, -11, 4),
    "FNH": Normal(-1.5, 2.0, -6, 3),
    "HCA": Normal(-0.5, 3.0, -6, 6),
    "LYM": Normal(-8.0, 2.0, -12, -3),
    "SAR": Normal(0.0, 5.0, -9, 9),
    "NEN": Normal(1.0, 4.0, -7, 8),
    "LIP": Normal(7.0, 2.0, 3, 12),
}
UNEVEN_DB: Mapping[str, float] = {"HA": 2.6, "SAR": 3.5, "ICC": 2.2, "HCC": 2.2, "HM": 2.0}
PUS_DB, NECROSIS_DB = (-15.0, -7.0), (-8.0, -2.0)  # with more or less debris
ENHANCEMENT_DB_PER_MM = 0.12
HALO = {"HM": 0.4, "HCC": 0.25}  # share with a hypoechoic halo


@dataclass(frozen=True)
class Echo:
    """The B-mode parameters of one lesion, in dB relative to the liver; the far-field loss is over the whole depth."""

    lesion_db: float
    uneven_db: float
    liquid_db: float  # of pus or necrosis
    halo: bool
    coarse_db: float  # unevenness of the liver itself, larger in cirrhosis
    far_loss_db: float  # larger in steatosis


def draw_echo(tissue: str, cirrhosis: bool, fatty_liver: bool, rng: np.random.Generator) -> Echo:
    """Draw the B-mode parameters for a row of `LESION_DB`; in a bright fatty liver lesions are darker."""
    relative = draw_value(LESION_DB[tissue], rng) - (2.0 if fatty_liver else 0.0)
    return Echo(
        lesion_db=relative,
        uneven_db=UNEVEN_DB.get(tissue, 1.4) * float(rng.lognormal(0, 0.35)),
        liquid_db=float(rng.uniform(*PUS_DB if tissue == "HA" else NECROSIS_DB)),
        halo=bool(rng.random() < HALO.get(tissue, 0.05)),
        coarse_db=draw_value(LogNormal(1.7 if cirrhosis else 1.0, 1.4, 0.4, 3.5), rng),
        far_loss_db=float(rng.uniform(5, 10) if fatty_liver else rng.uniform(1, 4)),
    )


def compute_reflectivity(echo: Echo, plane: Plane, tissue: Grid, vessels: Vessels, rng: np.random.Generator) -> F32:
    """Power (h w) of the echoes; the mean of the liver is about 1."""
    db = echo.coarse_db * draw_smooth_field(tissue.shape, max(0.05 * plane.height, 2.0), rng)
    uneven = echo.uneven_db * draw_smooth_field(tissue.shape, max(0.35 * plane.outline.radius_px, 2.0), rng)
    solid = np.float32(echo.lesion_db) + uneven
    db = db * (1 - tissue.inside) + tissue.inside * (solid + tissue.liquid * (np.float32(echo.liquid_db) - 0.5 * solid))
    # sound is hardly weakened by liquid: what lies behind it is brighter
    behind = np.cumsum(tissue.liquid, axis=0, dtype=np.float32) * np.float32(tissue.mm_per_px * ENHANCEMENT_DB_PER_MM)
    db = db + np.minimum(behind, 4.0) * (1 - tissue.liquid)
    if echo.halo:
        db -= 5 * soft_step(2.5 - np.abs(tissue.inside_mm), 2.5)
    outside = 1 - tissue.inside
    for inside_mm, wall_db in ((vessels.portal, 5.0), (vessels.hepatic, 0.0)):
        db = db - 15 * soft_step(inside_mm, 1.2) * outside
        db = db + wall_db * soft_step(1.0 - np.abs(inside_mm + 0.8), 1.2) * outside
    # the diaphragm, a bright curve along the far end
    line: F32 = np.float32(0.93 * plane.height) - (tissue.x - np.float32(0.5 * plane.width)) ** 2 * np.float32(
        0.25 / plane.width
    )
    db = db + 12 * soft_step(1.6 - np.abs(tissue.y - line) * plane.mm_per_px, 1.6) * (1 - tissue.inside)
    power: F32 = np.power(np.float32(10), db / np.float32(10)).astype(np.float32)
    return power
