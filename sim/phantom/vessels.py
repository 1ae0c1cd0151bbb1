"""Branching vessels of the liver in the image plane: a portal tree, and hepatic veins that meet deep in the liver.

A branch divides into two whose radii cubed sum to its own cubed (Murray 1926, PNAS 12:207); some leave the plane. A
lesion pushes the branches beside it away and closes those that run into it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.phantom.random_fields import F32, distance_to_path

SMALLEST_MM = 0.9  # radius; finer branches are part of the parenchyma
LEVELS = 4
LEAVES_PLANE = 0.3  # share of the branches, but the first, that are not in the picture
REACH_MM = 4.0  # distances beyond it are not worked out
PUSHED_FROM, PUSHED_TO, PUSHED_WITHIN = 0.6, 1.1, 1.8
"""A lesion moves what passes at the first of these distances, in its radii, to the second, and nothing at the third."""
NARROWED_MM, NARROWED_WITHIN_MM = 2.0, 5.0  # loss of radius on the outline, and where it begins


@dataclass(frozen=True)
class Branch:
    """One stretch of a vessel: its path (n, 2) as (y, x) in pane px, and its radius."""

    path: npt.NDArray[np.float64]
    radius_mm: float


@dataclass(frozen=True)
class Vessels:
    """Depth (h w) in mm below the wall of the nearest portal branch, hepatic vein and artery; negative outside."""

    portal: F32
    hepatic: F32
    artery: F32


def draw_portal_tree(pane: tuple[int, int], mm_per_px: float, rng: np.random.Generator) -> tuple[Branch, ...]:
    """Draw a portal tree that enters from a side."""
    height, width = pane
    from_left = bool(rng.random() < 0.5)
    root = np.array([rng.uniform(0.45, 0.85) * height, (-0.02 if from_left else 1.02) * width])
    heading = (0.0 if from_left else math.pi) + rng.uniform(-0.45, 0.45)
    return tuple(_grow(root, heading, (float(rng.uniform(2.8, 4.8)), LEVELS, mm_per_px), rng))


def draw_hepatic_tree(pane: tuple[int, int], mm_per_px: float, rng: np.random.Generator) -> tuple[Branch, ...]:
    """Draw a hepatic vein with its tributaries, from the far end towards the probe."""
    height, width = pane
    root = np.array([rng.uniform(0.7, 0.92) * height, rng.uniform(0.2, 0.8) * width])
    heading = -math.pi / 2 + rng.uniform(-0.9, 0.9)
    return tuple(_grow(root, heading, (float(rng.uniform(2.2, 4.0)), LEVELS - 1, mm_per_px), rng))


def _grow(
    start: npt.NDArray[np.float64], heading: float, size: tuple[float, int, float], rng: np.random.Generator
) -> list[Branch]:
    """A branch that winds along its way, and all that it divides into. size: radius in mm, levels left, mm a px."""
    radius, levels, mm_per_px = size
    if levels == 0 or radius < SMALLEST_MM:
        return []
    steps = 4
    length_px = radius * float(rng.uniform(4.5, 8.5)) / mm_per_px
    headings = heading + np.cumsum(rng.normal(0, 0.16, steps))
    moves = np.stack([np.sin(headings), np.cos(headings)], axis=1) * length_px / steps
    path = np.concatenate([start[None], start + np.cumsum(moves, axis=0)])
    share = float(rng.uniform(0.2, 0.5))
    side = float(rng.choice([-1.0, 1.0]))
    found = [Branch(path, radius)]
    for part, turn in ((1 - share, -side * rng.uniform(0.1, 0.4)), (share, side * rng.uniform(0.5, 1.1))):
        own = np.random.default_rng(int(rng.integers(2**63)))
        if rng.random() >= LEAVES_PLANE:
            found += _grow(path[-1], float(headings[-1] + turn), (radius * part ** (1 / 3), levels - 1, mm_per_px), own)
    return found


def bend_around(
    tree: Sequence[Branch],
    middle: tuple[float, float],
    radius: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
) -> tuple[Branch, ...]:
    """The tree (a parent before its children) around a lesion; a branch that meets it ends there, with all beyond.

    Args:
        tree: the vessels without the lesion.
        middle: (x, y) of the lesion in pane px.
        radius: of its outline in px at angles in rad, clockwise from the right.
    """
    lost: set[tuple[float, ...]] = set()
    kept = []
    for branch in tree:
        from_middle = _resample(branch.path) - np.array(middle[::-1])
        edge = radius(np.arctan2(from_middle[:, 0], from_middle[:, 1]))
        share = np.hypot(*from_middle.T) / edge
        met = np.flatnonzero(share < PUSHED_FROM)
        if met.size or tuple(branch.path[0]) in lost:
            lost.add(tuple(branch.path[-1]))
        end = met[0] if met.size else share.size
        if end < 2 or tuple(branch.path[0]) in lost:
            continue
        slope = (PUSHED_WITHIN - PUSHED_TO) / (PUSHED_WITHIN - PUSHED_FROM)
        pushed = np.where(share < PUSHED_WITHIN, PUSHED_TO + slope * (share - PUSHED_FROM), share)
        moved = np.array(middle[::-1]) + from_middle * (pushed / np.maximum(share, 1e-9))[:, None]
        kept.append(Branch(moved[:end] if (share < PUSHED_WITHIN).any() else branch.path, branch.radius_mm))
    return tuple(kept)


def _resample(path: npt.NDArray[np.float64], parts: int = 4) -> npt.NDArray[np.float64]:
    """The path with each of its stretches divided into `parts`."""
    at = np.linspace(0, len(path) - 1, parts * (len(path) - 1) + 1)
    return np.stack([np.interp(at, np.arange(len(path)), axis) for axis in path.T], axis=1)


def narrow_beside(vessels: Vessels, inside_mm: F32) -> Vessels:
    """The vessels narrowed near a lesion. inside_mm: depth (h w) in the lesion, negative outside."""
    loss = np.float32(NARROWED_MM) * np.clip(1 + inside_mm / np.float32(NARROWED_WITHIN_MM), 0, 1)
    return Vessels(vessels.portal - loss, vessels.hepatic - loss, vessels.artery - np.float32(0.3) * loss)


def map_vessels(
    portal: tuple[Branch, ...], hepatic: tuple[Branch, ...], grid: tuple[F32, F32], mm_per_px: float
) -> Vessels:
    """The maps of both trees, and of the arteries beside the portal branches. grid: y (h 1) and x (1 w) in pane px."""
    beside = [
        Branch(b.path + (b.radius_mm + 1.2) / mm_per_px * _find_normal(b.path), 0.28 * b.radius_mm) for b in portal
    ]
    return Vessels(*(_map_tree(tree, grid, mm_per_px) for tree in (portal, hepatic, beside)))


def _find_normal(path: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Unit vector (2) across the way from the first to the last vertex."""
    along = path[-1] - path[0]
    return np.array([along[1], -along[0]]) / max(float(np.hypot(*along)), 1e-9)


def _map_tree(tree: Sequence[Branch], grid: tuple[F32, F32], mm_per_px: float) -> F32:
    y, x = grid
    inside = np.full((y.size, x.size), np.float32(-REACH_MM))
    for branch in tree:
        reach = (branch.radius_mm + REACH_MM) / mm_per_px
        low, high = branch.path.min(axis=0) - reach, branch.path.max(axis=0) + reach
        rows = slice(*np.searchsorted(y.ravel(), [low[0], high[0]]).tolist())
        columns = slice(*np.searchsorted(x.ravel(), [low[1], high[1]]).tolist())
        away = distance_to_path(y[rows], x[:, columns], branch.path) * np.float32(mm_per_px)
        np.maximum(inside[rows, columns], branch.radius_mm - away, out=inside[rows, columns])
    return inside
