"""The parts of a lesion for its pattern of enhancement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sim.phantom import kinetics
from sim.phantom.kinetics import Kinetics, Liver
from sim.phantom.patterns import Kind, Pattern
from sim.phantom.perfusion import Part
from sim.phantom.random_fields import F32, distance_to_path, draw_smooth_field, soft_step
from sim.phantom.shapes import Grid, find_cells, map_to_disc, measure_radius_px

Field = tuple[F32, np.random.Generator]
"""The lesion's textured weight (h w), and a random generator."""
Layout = Callable[[Pattern, Grid, Liver, Kinetics, Field], list[Part]]
Path = npt.NDArray[np.float64]
LASTING = 0.8
"""Late contrast of a rim that persists, relative to the liver's: 1 dB below it, where wash-out begins at 2 dB."""


def build_lesion_parts(
    pattern: Pattern, tissue: Grid, liver: Liver, leading: Kinetics, rng: np.random.Generator
) -> list[Part]:
    """The parts of the lesion for its pattern; `leading` is its most enhancing tissue."""
    texture = np.exp(pattern.texture * _draw_field(tissue, 0.3, rng))
    weight = (tissue.inside * texture * (1 - tissue.liquid)).astype(np.float32)
    parts: list[Part] = []
    if pattern.inner_blood != 1:
        inner = _draw_inner(tissue, rng)
        own = replace(leading, blood=leading.blood * pattern.inner_blood, late=0.7 * leading.late)
        parts.append(_make_part(weight * inner, liver, own))
        weight = weight * (1 - inner)
    parts += BUILDERS[pattern.kind](pattern, tissue, liver, leading, (weight, rng))
    return parts + _build_extras(pattern, tissue, liver, rng)


def _draw_inner(tissue: Grid, rng: np.random.Generator) -> F32:
    """A round nodule (h w) somewhere in the lesion."""
    u, v = map_to_disc(tissue)
    turn, off, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5), rng.uniform(0.28, 0.45)
    away = np.hypot(u - off * np.cos(turn), v - off * np.sin(turn)) + 0.04 * _draw_field(tissue, 0.2, rng)
    return soft_step(radius - away, 0.1)


def _draw_field(tissue: Grid, share: float, rng: np.random.Generator) -> F32:
    """A standard normal field (h w) that is alike over a share of the lesion's radius."""
    return draw_smooth_field(tissue.shape, max(share * measure_radius_px(tissue), 2.0), rng)


def _make_part(weight: F32, liver: Liver, tissue: Kinetics, delay: F32 | None = None) -> Part:
    return Part(weight.astype(np.float32), lambda t, wait: kinetics.lesion_curve(t, liver, tissue, wait), delay)


def _build_diffuse(_p: Pattern, _g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    return [_make_part(field[0], liver, leading)]


def _build_rim(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    """A ring of uneven thickness, weak or open in places; one that persists keeps most of the liver's contrast."""
    weight, rng = field
    wander = np.clip(np.exp(0.4 * _draw_field(g, 0.5, rng)), 0.35, 2.2)
    strong = np.clip(0.85 + 0.4 * _draw_field(g, 0.6, rng), 0.0, 1.0)
    rim = soft_step(p.rim_mm * wander - g.inside_mm, 2 * g.mm_per_px) * strong
    lasting = replace(leading, late=max(LASTING, leading.late)) if p.persistent_rim else leading
    core = replace(
        leading,
        blood=leading.blood * p.core_blood,
        early=leading.early * p.core_pool,
        late=leading.late * p.core_pool,
        delay_s=leading.delay_s + 1.5,
    )
    return [_make_part(weight * rim, liver, lasting), _make_part(weight * (1 - rim), liver, core)]


def _build_nodular(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    """Nodules of unequal size at the edge, from which the lesion fills."""
    weight, rng = field
    u, v = map_to_disc(g)
    turns = (np.arange(p.nodules) + 0.9 * rng.random(p.nodules)) * 2 * np.pi / p.nodules
    radii, sizes = rng.uniform(0.84, 0.98, p.nodules), rng.uniform(0.65, 1.35, p.nodules)
    far = [np.hypot(u - r * np.cos(a), v - r * np.sin(a)) / s for a, r, s in zip(turns, radii, sizes, strict=True)]
    uneven = np.min(far, axis=0) + 0.06 * _draw_field(g, 0.25, rng)
    way = np.clip(uneven / np.float32(max(float(uneven[g.rho < 1].max(initial=0.5)), 1e-3)), 0, 1)
    filled = soft_step(np.float32(p.fill_stop) - way, 0.08) if p.fill_stop < 1 else np.float32(1)
    delay = np.float32(p.fill_s) * np.clip((way - 0.22) / 0.78, 0, 1)
    return [_make_part(weight * filled, liver, leading, delay.astype(np.float32))]


def _build_inward(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    weight, rng = field
    way = np.clip(1 - g.rho + 0.08 * _draw_field(g, 0.4, rng), 0, 1)
    filled = soft_step(np.float32(p.fill_stop) - way, 0.08) if p.fill_stop < 1 else np.float32(1)
    weight, delay = weight * filled, (np.float32(p.fill_s) * way).astype(np.float32)
    if not p.persistent_rim:
        return [_make_part(weight, liver, leading, delay)]
    rim = soft_step(p.rim_mm - g.inside_mm, 2 * g.mm_per_px)
    lasting = replace(leading, late=max(leading.late, 0.95))
    return [_make_part(weight * rim, liver, lasting), _make_part(weight * (1 - rim), liver, leading, delay)]


def _build_spoke(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    """Arteries that wind and fork from a middle beside the centre; the tissue fills outwards from them."""
    weight, rng = field
    u, v = map_to_disc(g)
    turn, off = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.18)
    middle = np.array([off * np.sin(turn), off * np.cos(turn)])
    away = np.hypot(v - middle[0], u - middle[1])
    delay = np.clip(away + 0.10 * _draw_field(g, 0.4, rng), 0, 1.2).astype(np.float32) * np.float32(p.fill_s)
    if p.scar:  # drawn out along some spokes
        ragged = 0.24 * np.exp(0.45 * _draw_field(g, 0.2, rng))
        weight = weight * (1 - 0.8 * soft_step(ragged - away, 0.08))
    parts = [_make_part(weight, liver, leading, delay)]
    paths = [path for _ in range(p.nodules) for path in _draw_spoke(middle, rng)]
    if paths:
        thin = np.float32(0.055) * np.clip(1.25 - away, 0.35, 1)
        near = np.min([distance_to_path(v, u, path) for path in paths], axis=0)
        spokes = np.exp(-((near / thin) ** 2)) * g.inside
        artery = replace(leading, blood=1.2 * leading.blood, early=0.0, late=0.0, delay_s=leading.delay_s - 1.0)
        parts.append(_make_part(spokes, liver, artery, (0.4 * delay).astype(np.float32)))
    return parts


def _draw_spoke(middle: Path, rng: np.random.Generator) -> list[Path]:
    """One artery on the unit disc (n, 2) as (v, u), and the branch that leaves it, if one does."""
    steps = 5
    length = float(rng.uniform(0.45, 0.95))
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.28, steps))
    moves = np.stack([np.sin(headings), np.cos(headings)], axis=1) * length / steps
    path = np.concatenate([middle[None], middle + np.cumsum(moves, axis=0)])
    if rng.random() < 0.4:
        return [path]
    fork = int(rng.integers(2, 4))
    heading = headings[fork] + rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 0.8)
    twig = path[fork] + np.outer([0.0, 0.5, 1.0], [np.sin(heading), np.cos(heading)]) * length * rng.uniform(0.25, 0.5)
    return [path, twig]


def _build_mosaic(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    """Nodules with kinetics of their own, between which some septa enhance less."""
    weight, rng = field
    cell, between = find_cells(g, p.nodules, rng)
    weight = weight * (1 - 0.6 * soft_step(0.035 - between, 0.04))
    parts = []
    for i in range(p.nodules):
        factor = float(np.clip(np.exp(0.32 * rng.standard_normal()), 0.45, 1.9))
        own = replace(
            leading,
            blood=leading.blood * factor,
            late=min(leading.late * float(np.exp(0.3 * rng.standard_normal())), 1.1),
            delay_s=leading.delay_s + float(rng.uniform(0, 2)),
        )
        parts.append(_make_part(weight * (cell == i), liver, own))
    return parts


BUILDERS: Mapping[Kind, Layout] = {
    "diffuse": _build_diffuse,
    "patchy": _build_diffuse,
    "cavity": _build_diffuse,
    "rim": _build_rim,
    "nodular": _build_nodular,
    "inward": _build_inward,
    "spoke": _build_spoke,
    "mosaic": _build_mosaic,
}


def _build_extras(pattern: Pattern, g: Grid, liver: Liver, rng: np.random.Generator) -> list[Part]:
    """Feeding arteries, a capsule, and arterial hyperenhancement of the liver around an abscess."""
    parts = []
    for _ in range(pattern.feeders):
        near = np.min([distance_to_path(g.y, g.x, path) for path in _draw_feeder(g, rng)], axis=0)
        vessel = soft_step(float(rng.uniform(0.8, 1.3)) - near * g.mm_per_px, 1.2) * (1 - g.liquid)
        parts.append(_make_part(vessel, liver, Kinetics(3.5, -float(rng.uniform(0.5, 1.5)), 0.0, 0.0, 60.0)))
    if pattern.capsule:
        whole = np.clip(0.75 + 0.5 * _draw_field(g, 0.6, rng), 0, 1)
        ring = soft_step(1.5 - np.abs(g.inside_mm), 1.5) * g.inside * whole
        parts.append(_make_part(0.5 * ring, liver, Kinetics(0.8, 0.5, 1.0, 1.0, 60.0)))
    if pattern.surrounding:
        reach = float(rng.uniform(6, 15)) * np.clip(1 + 0.35 * _draw_field(g, 0.5, rng), 0.3, 2)
        facing = soft_step(np.cos(g.angle - rng.uniform(0, 2 * np.pi)).astype(np.float32) + 0.3, 0.6)
        around = soft_step(reach + g.inside_mm, 3) * (1 - g.inside) * facing
        parts.append(_make_part(around, liver, Kinetics(0.9, 0.0, 0.0, 0.0, 60.0)))
    return parts


def _draw_feeder(g: Grid, rng: np.random.Generator) -> list[Path]:
    """A winding artery from outside the lesion into it, and two branches inside, (n, 2) as (y, x) in px."""
    row, column = np.unravel_index(int(g.rho.argmin()), g.shape)
    middle = np.array([g.y[row, 0], g.x[0, column]], dtype=np.float64)
    radius_px = measure_radius_px(g)
    turn = rng.uniform(0, 2 * np.pi)
    out = np.array([np.sin(turn), np.cos(turn)]) * radius_px
    across = np.array([out[1], -out[0]])
    ways = np.linspace(1.9, 0.5, 6)
    bends = np.cumsum(rng.normal(0, 0.12, ways.size))
    path = middle + ways[:, None] * out + bends[:, None] * across
    twigs = [path[-1] - share * out + side * across for share, side in ((0.5, 0.35), (0.35, -0.4))]
    return [path, *(np.stack([path[-2], path[-1] + 0.3 * (tip - path[-1]), tip]) for tip in twigs)]
