"""Contrast in space and time as a product of curves (t k) and maps (k h w).

Every point has a mixture of few curves; points with different delays mix the curves of neighbouring delays. So a long
video needs few maps, and the ground truth of any region is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.phantom import kinetics
from sim.phantom.kinetics import Kinetics, Liver, Seconds
from sim.phantom.patterns import Kind, Pattern
from sim.phantom.random_fields import F32, distance_to_path, draw_smooth_field, soft_step
from sim.phantom.shapes import Grid, Plane

MOST_DELAYS = 24


@dataclass(frozen=True)
class Part:
    """Points with the same curve but for a delay: weight (h w), curve(seconds, delay) -> (t), delay (h w) in s."""

    weight: F32
    curve: Callable[[Seconds, float], Seconds]
    delay: F32 | None = None


@dataclass(frozen=True)
class Perfusion:
    """Contrast power (t h w) = curves (t k) times maps (k h w); the parenchyma's peak is about 1."""

    curves: F32
    maps: F32

    def mean(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """The mean (t) over a mask (h w)."""
        weights = self.maps[:, mask].mean(axis=1, dtype=np.float64)
        return np.asarray(self.curves.astype(np.float64) @ weights)


def compose_perfusion(parts: Sequence[Part], seconds: Seconds) -> Perfusion:
    """Add the parts; a part with delays becomes several maps, with linear weights between neighbouring delays."""
    curves: list[Seconds] = []
    maps: list[F32] = []
    for part in parts:
        if part.delay is None:
            curves.append(part.curve(seconds, 0.0))
            maps.append(part.weight)
            continue
        longest = float(part.delay[part.weight > 0].max(initial=0.0))
        steps = int(np.clip(np.ceil(longest / 0.5), 1, MOST_DELAYS - 1))
        place = part.delay * np.float32(steps / max(longest, 1e-6))
        for i in range(steps + 1):
            share = np.clip(1 - np.abs(place - np.float32(i)), 0, 1)
            curves.append(part.curve(seconds, longest * i / steps))
            maps.append((part.weight * share).astype(np.float32))
    return Perfusion(np.stack(curves, axis=1).astype(np.float32), np.stack(maps).astype(np.float32))


def build_liver_parts(plane: Plane, tissue: Grid, liver: Liver, rng: np.random.Generator) -> list[Part]:
    """The parts of the liver: uneven parenchyma, portal vein with its artery, and a hepatic vein."""
    outside = 1 - tissue.inside
    uneven = np.exp(0.10 * draw_smooth_field(tissue.shape, 0.12 * plane.height, rng))
    portal_mm = distance_to_path(tissue.y, tissue.x, plane.portal) * plane.mm_per_px
    hepatic_mm = distance_to_path(tissue.y, tissue.x, plane.hepatic) * plane.mm_per_px
    portal = soft_step(3.5 - portal_mm, 1.5) * outside
    hepatic = soft_step(3.0 - hepatic_mm, 1.5) * outside * (1 - portal)
    beside = distance_to_path(tissue.y, tissue.x, plane.portal + 5.5 / plane.mm_per_px) * plane.mm_per_px
    artery = soft_step(1.2 - beside, 1.5) * outside
    capillary = (outside * (1 - portal - hepatic) * uneven).astype(np.float32)
    return [
        Part(capillary, lambda t, _: kinetics.parenchyma_curve(t, liver)),
        Part(portal, lambda t, _: 1.9 * kinetics.pool_curve(t, liver, -3.0)),
        Part(hepatic, lambda t, _: 1.7 * kinetics.pool_curve(t, liver, 0.5 * (liver.vein_s - liver.portal_s))),
        Part(artery, lambda t, _: 1.6 * kinetics.first_pass_curve(t, liver.arrival_s, liver.transit_s, liver.shape)),
    ]


def build_lesion_parts(
    pattern: Pattern, tissue: Grid, liver: Liver, leading: Kinetics, rng: np.random.Generator
) -> list[Part]:
    """The parts of the lesion for its pattern; `leading` is its most enhancing tissue."""
    radius_px = float(np.sqrt(max((tissue.rho <= 1).sum(), 1) / np.pi))
    texture = np.exp(pattern.texture * draw_smooth_field(tissue.shape, max(0.3 * radius_px, 2.0), rng))
    weight = (tissue.inside * texture).astype(np.float32)
    if pattern.necrosis > 0:
        weight = weight * _draw_holes(pattern.necrosis, tissue, radius_px, rng)
    parts = BUILDERS[pattern.kind](pattern, tissue, liver, leading, (weight, rng))
    return parts + _build_extras(pattern, tissue, liver, rng)


Field = tuple[F32, np.random.Generator]
"""The lesion's textured weight (h w), and a random generator."""
Layout = Callable[[Pattern, Grid, Liver, Kinetics, Field], list[Part]]


def _make_part(weight: F32, liver: Liver, tissue: Kinetics, delay: F32 | None = None) -> Part:
    return Part(weight.astype(np.float32), lambda t, wait: kinetics.lesion_curve(t, liver, tissue, wait), delay)


def _draw_holes(share: float, tissue: Grid, radius_px: float, rng: np.random.Generator) -> F32:
    field = draw_smooth_field(tissue.shape, max(0.35 * radius_px, 2.0), rng) - 1.2 * (tissue.rho - 0.4)
    inner = field[tissue.rho < 1]
    edge = float(np.quantile(inner, 1 - share)) if inner.size else 0.0
    return 1 - soft_step(field - np.float32(edge), 0.3)


def _map_to_disc(tissue: Grid) -> tuple[F32, F32]:
    """Coordinates (h w) in which the outline is the unit circle."""
    return tissue.rho * np.cos(tissue.angle), tissue.rho * np.sin(tissue.angle)


def _find_nearest(tissue: Grid, radii: F32, angles: F32) -> tuple[npt.NDArray[np.intp], F32]:
    """Index and distance (h w) of the nearest of some points, polar on the unit disc."""
    u, v = _map_to_disc(tissue)
    distance = np.stack([np.hypot(u - r * np.cos(a), v - r * np.sin(a)) for r, a in zip(radii, angles, strict=True)])
    return distance.argmin(axis=0), distance.min(axis=0).astype(np.float32)


def _build_diffuse(_p: Pattern, _g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    return [_make_part(field[0], liver, leading)]


def _build_rim(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    weight, rng = field
    wander = 1 + 0.25 * draw_smooth_field(g.shape, max(0.1 * g.shape[0], 3.0), rng)
    rim = soft_step(p.rim_mm * wander - g.inside_mm, 2 * g.mm_per_px)
    lasting = replace(leading, late=min(2.2 * leading.late, 0.9)) if p.persistent_rim else leading
    core = replace(
        leading,
        blood=leading.blood * p.core_blood,
        early=leading.early * p.core_pool,
        late=leading.late * p.core_pool,
        delay_s=leading.delay_s + 1.5,
    )
    return [_make_part(weight * rim, liver, lasting), _make_part(weight * (1 - rim), liver, core)]


def _build_nodular(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    weight, rng = field
    turns = (np.arange(p.nodules) + 0.6 * rng.random(p.nodules)) * 2 * np.pi / p.nodules
    _, far = _find_nearest(g, np.full(p.nodules, 0.92, np.float32), turns.astype(np.float32))
    way = far / np.float32(max(float(far[g.rho < 1].max(initial=0.5)), 1e-3))
    filled = soft_step(np.float32(p.fill_stop) - way, 0.08) if p.fill_stop < 1 else np.float32(1)
    delay = np.float32(p.fill_s) * np.clip((way - 0.22) / 0.78, 0, 1)
    return [_make_part(weight * filled, liver, leading, delay.astype(np.float32))]


def _build_inward(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    way = np.clip(1 - g.rho, 0, 1)
    filled = soft_step(np.float32(p.fill_stop) - way, 0.08) if p.fill_stop < 1 else np.float32(1)
    weight, delay = field[0] * filled, (np.float32(p.fill_s) * way).astype(np.float32)
    if not p.persistent_rim:
        return [_make_part(weight, liver, leading, delay)]
    rim = soft_step(p.rim_mm - g.inside_mm, 2 * g.mm_per_px)
    lasting = replace(leading, late=max(leading.late, 0.95))
    return [_make_part(weight * rim, liver, lasting), _make_part(weight * (1 - rim), liver, leading, delay)]


def _build_cavity(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    weight, rng = field
    rim = soft_step(p.rim_mm - g.inside_mm, 1.5 * g.mm_per_px)
    if p.nodules > 1:  # neighbouring cavities share a wall
        turns = rng.uniform(0, 2 * np.pi) + np.arange(p.nodules) * 2 * np.pi / p.nodules
        cell, _ = _find_nearest(g, np.full(p.nodules, 0.5, np.float32), turns.astype(np.float32))
        wall = sum(np.abs(d) for d in np.gradient(cell.astype(np.float32))) > 0
        rim = np.maximum(rim, wall.astype(np.float32))
    if p.septa:
        honeycomb = np.abs(draw_smooth_field(g.shape, max(7 / g.mm_per_px, 2.5), rng))
        rim = np.maximum(rim, soft_step(0.28 - honeycomb, 0.2))
    return [_make_part(weight * rim, liver, leading)]


def _build_spoke(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    weight, rng = field
    delay = (np.float32(p.fill_s) * np.clip(g.rho, 0, 1)).astype(np.float32)
    if p.scar:
        weight = weight * (1 - 0.7 * soft_step(0.22 - g.rho, 0.1))
    parts = [_make_part(weight, liver, leading, delay)]
    if p.nodules:
        turns = (np.arange(p.nodules) + 0.5 * rng.random(p.nodules)) * 2 * np.pi / p.nodules
        off = np.stack([g.rho * np.hypot(np.sin(d := g.angle - a), np.minimum(np.cos(d), 0)) for a in turns])
        spokes = np.exp(-((off.min(axis=0) / 0.09) ** 2)).astype(np.float32) * g.inside
        artery = replace(leading, blood=0.8 * leading.blood, early=0.0, late=0.0, delay_s=leading.delay_s - 1.0)
        parts.append(_make_part(spokes, liver, artery, (0.4 * delay).astype(np.float32)))
    return parts


def _build_mosaic(p: Pattern, g: Grid, liver: Liver, leading: Kinetics, field: Field) -> list[Part]:
    weight, rng = field
    radii, turns = rng.uniform(0.25, 0.8, p.nodules), rng.uniform(0, 2 * np.pi, p.nodules)
    cell, _ = _find_nearest(g, radii.astype(np.float32), turns.astype(np.float32))
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
    "rim": _build_rim,
    "nodular": _build_nodular,
    "inward": _build_inward,
    "cavity": _build_cavity,
    "spoke": _build_spoke,
    "mosaic": _build_mosaic,
}


def _build_extras(pattern: Pattern, g: Grid, liver: Liver, rng: np.random.Generator) -> list[Part]:
    """Feeding arteries, a capsule, and arterial hyperenhancement of the liver around an abscess."""
    parts = []
    radius_px = float(np.sqrt(max((g.rho <= 1).sum(), 1) / np.pi))
    centre = np.unravel_index(int(g.rho.argmin()), g.shape)
    middle = np.array([g.y[centre[0], 0], g.x[0, centre[1]]])
    for _ in range(pattern.feeders):
        turn = rng.uniform(0, 2 * np.pi)
        out = np.array([np.sin(turn), np.cos(turn)]) * radius_px
        bend = np.array([np.cos(turn), -np.sin(turn)]) * radius_px * rng.uniform(-0.3, 0.3)
        path = np.stack([middle + 1.9 * out, middle + 1.3 * out + bend, middle + 0.4 * out])
        vessel = soft_step(1.3 - distance_to_path(g.y, g.x, path) * g.mm_per_px, 1.5)
        artery = Kinetics(1.8, -float(rng.uniform(0.5, 1.5)), 0.0, 0.0, 60.0)
        parts.append(_make_part(vessel, liver, artery))
    if pattern.capsule:
        ring = soft_step(1.5 - np.abs(g.inside_mm), 1.5) * g.inside
        parts.append(_make_part(0.5 * ring, liver, Kinetics(0.8, 0.5, 1.0, 1.0, 60.0)))
    if pattern.surrounding:
        reach = float(rng.uniform(6, 15))
        facing = soft_step(np.cos(g.angle - rng.uniform(0, 2 * np.pi)).astype(np.float32) + 0.3, 0.6)
        around = soft_step(reach + g.inside_mm, 3) * (1 - g.inside) * facing
        parts.append(_make_part(around, liver, Kinetics(0.9, 0.0, 0.0, 0.0, 60.0)))
    return parts
