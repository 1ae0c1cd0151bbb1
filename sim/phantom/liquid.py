"""Liquid in a lesion, which never enhances: the cavities of an abscess, and necrosis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.phantom.patterns import Pattern
from sim.phantom.random_fields import F32, draw_smooth_field, soft_step
from sim.phantom.shapes import Grid, find_cells, measure_radius_px

SOLID_SHARE = 0.15  # of the chambers of an abscess that have not melted yet


def fill_with_liquid(pattern: Pattern, tissue: Grid, rng: np.random.Generator) -> Grid:
    """The tissue with the liquid of its pattern."""
    liquid = tissue.liquid
    if pattern.kind == "cavity":
        liquid = _draw_cavities(pattern, tissue, rng)
    if pattern.necrosis > 0:
        liquid = np.maximum(liquid, _draw_holes(pattern.necrosis, tissue, rng))
    return replace(tissue, liquid=liquid.astype(np.float32))


def _draw_cavities(pattern: Pattern, tissue: Grid, rng: np.random.Generator) -> F32:
    """Chambers around random points, behind a wall of uneven thickness; the septa between them are open in places."""
    radius_px = measure_radius_px(tissue)
    slow, quick = (draw_smooth_field(tissue.shape, max(share * radius_px, 2.0), rng) for share in (0.7, 0.25))
    wander = np.clip(1 + 0.4 * slow + 0.2 * quick, 0.35, 2.2)
    liquid = soft_step(tissue.inside_mm - pattern.rim_mm * wander, 1.5)
    if pattern.nodules > 1:
        cell, between = find_cells(tissue, pattern.nodules, rng)
        uneven = 1 + 0.7 * draw_smooth_field(tissue.shape, max(0.3 * radius_px, 2.0), rng)
        septum_mm = float(rng.uniform(0.4, 1.6)) * uneven
        melted = rng.random(pattern.nodules) >= SOLID_SHARE
        melted[int(np.bincount(cell[tissue.rho < 1], minlength=pattern.nodules).argmax())] = True
        liquid = liquid * soft_step(between * radius_px * tissue.mm_per_px - septum_mm, 1.2) * melted[cell]
    if pattern.septa:
        honeycomb = np.abs(draw_smooth_field(tissue.shape, max(7 / tissue.mm_per_px, 2.5), rng))
        liquid = liquid * (1 - soft_step(0.25 - honeycomb, 0.2))
    return np.asarray(liquid, dtype=np.float32)


def _draw_holes(share: float, tissue: Grid, rng: np.random.Generator) -> F32:
    radius_px = measure_radius_px(tissue)
    field = draw_smooth_field(tissue.shape, max(0.35 * radius_px, 2.0), rng) - 1.2 * (tissue.rho - 0.4)
    inner = field[tissue.rho < 1]
    edge = float(np.quantile(inner, 1 - share)) if inner.size else 0.0
    return soft_step(field - np.float32(edge), 0.3) * tissue.inside
