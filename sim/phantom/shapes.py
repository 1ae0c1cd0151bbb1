"""The image plane in mm: field of view, the lesion's outline, and large vessels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.phantom.random_fields import F32, draw_smooth_field
from sim.phantom.vessels import Branch, bend_around, draw_hepatic_tree, draw_portal_tree

IRREGULARITY: Mapping[str, tuple[float, float]] = {
    "HCC": (0.075, 3.5),
    "ICC": (0.11, 3.7),
    "HM": (0.08, 2.2),
    "HH": (0.085, 3.5),
    "HA": (0.11, 4.2),
    "OT": (0.07, 3.0),
}
"""Size of an outline's waves relative to its radius, and the wave at which it is halved: few slow waves are an oval,
three to five are lobes, more are an irregular edge."""
WAVES = 12
"""Angular waves of an outline, from the second on."""
UNEVEN_LOBES = 0.45  # lobes on one side are wider by this share than the mean, and narrower on the other
LARGEST_RADIUS = 1.28  # of an outline, relative to its mean
LARGEST_SHARE = 0.62  # of the pane that a lesion may fill; the sonographer increases the depth until it fits


@dataclass(frozen=True)
class Outline:
    """A star-shaped lesion: centre and mean radius in pane px, relative Fourier waves of the radius."""

    x: float
    y: float
    radius_px: float
    amplitudes: tuple[float, ...]  # of the angular waves 2, 3, 4, ...
    phases: tuple[float, ...]

    def radius(self, angle: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Radius in px at `angle` (rad, 0 = right, clockwise on the screen)."""
        uneven = angle + UNEVEN_LOBES * np.sin(angle + self.phases[0])
        waves = sum(
            a * np.cos((k + 2) * uneven + p) for k, (a, p) in enumerate(zip(self.amplitudes, self.phases, strict=True))
        )
        return np.asarray(self.radius_px * (1 + waves))

    def points(self, count: int = 48) -> npt.NDArray[np.float64]:
        """The outline (n, 2) as (x, y) in pane px."""
        angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
        radius = self.radius(angle)
        return np.stack([self.x + radius * np.cos(angle), self.y + radius * np.sin(angle)], axis=1)


@dataclass(frozen=True)
class Plane:
    """Pane size in px, scale, the curved array's geometry (mm, rad), the lesion and the trees of vessels."""

    height: int
    width: int
    mm_per_px: float
    probe_radius_mm: float
    half_angle: float
    outline: Outline
    portal: tuple[Branch, ...]
    hepatic: tuple[Branch, ...]


@dataclass(frozen=True)
class Grid:
    """Tissue coordinates on a padded pane, all (h w): polar position in the lesion, and depth inside it."""

    y: F32
    x: F32
    rho: F32  # 0 in the centre, 1 on the outline
    angle: F32
    inside_mm: F32  # depth below the outline, negative outside
    inside: F32  # soft membership, 0..1
    liquid: F32  # share of pus or necrosis, 0..1
    mm_per_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the padded grid."""
        return (int(self.rho.shape[0]), int(self.rho.shape[1]))


def draw_outline(
    pane: tuple[int, int], radius_px: float, irregularity: tuple[float, float], rng: np.random.Generator
) -> Outline:
    """Draw an outline inside the field of view. irregularity: size of the waves, and the wave that has half of it."""
    height, width = pane
    low, high = 0.24 * height + 0.8 * radius_px, 0.90 * height - radius_px
    half = max(0.5 * width - 1.15 * radius_px - 0.08 * width, 0.0)
    order = np.arange(2, WAVES + 2)
    size, half_at = irregularity
    amplitudes = size * rng.standard_normal(WAVES) / (1 + (order / half_at) ** 3)
    phases = rng.uniform(0, 2 * np.pi, WAVES)
    angle = np.linspace(0, 2 * np.pi, 128)[:, None]
    amplitudes *= min(
        1.0, (LARGEST_RADIUS - 1) / float((amplitudes * np.cos(order * angle + phases)).sum(axis=1).max())
    )
    return Outline(
        x=width / 2 + 0.7 * half * float(rng.uniform(-1, 1)),
        y=float(rng.uniform(low, high)) if low < high else (low + high) / 2,
        radius_px=radius_px,
        amplitudes=tuple(float(a) for a in amplitudes),
        phases=tuple(float(p) for p in phases),
    )


def draw_plane(
    pane: tuple[int, int], depth_cm: float, fll_type: str, size_cm: float, rng: np.random.Generator
) -> Plane:
    """Draw the plane of a lesion of `size_cm` at a depth around `depth_cm`, deeper if the lesion does not fit."""
    height, width = pane
    shown_cm = min(size_cm, 16.0)
    depth = max(depth_cm * float(np.clip(rng.normal(1, 0.08), 0.8, 1.2)), shown_cm / LARGEST_SHARE)
    mm_per_px = depth * 10 / height
    radius = max(shown_cm * 5 / mm_per_px, 1.5)
    size, half_at = IRREGULARITY[fll_type]
    irregularity = (size * min(0.75 + 0.07 * shown_cm, 1.5), half_at)  # large ones are lobulated
    probe_radius, half_angle = float(rng.uniform(45, 60)), math.radians(rng.uniform(31, 37))
    outline = draw_outline(pane, radius, irregularity, rng)
    trees = draw_portal_tree(pane, mm_per_px, rng), draw_hepatic_tree(pane, mm_per_px, rng)
    portal, hepatic = (bend_around(tree, (outline.x, outline.y), outline.radius) for tree in trees)
    return Plane(
        height=height,
        width=width,
        mm_per_px=mm_per_px,
        probe_radius_mm=probe_radius,
        half_angle=half_angle,
        outline=outline,
        portal=portal,
        hepatic=hepatic,
    )


def make_grid(plane: Plane, padding: int, shrink: float = 1.0) -> Grid:
    """Tissue coordinates with `padding` px around the pane; `shrink` < 1 is a slice outside the lesion's middle."""
    y = (np.arange(plane.height + 2 * padding, dtype=np.float32) - padding)[:, None]
    x = (np.arange(plane.width + 2 * padding, dtype=np.float32) - padding)[None, :]
    dy, dx = y - np.float32(plane.outline.y), x - np.float32(plane.outline.x)
    angle = np.arctan2(dy, dx).astype(np.float32)
    edge = (plane.outline.radius(angle) * shrink).astype(np.float32)
    rho = np.hypot(dy, dx) / np.maximum(edge, np.float32(1e-3))
    inside_px = (1 - rho) * edge
    return Grid(
        y=y,
        x=x,
        rho=rho.astype(np.float32),
        angle=angle,
        inside_mm=(inside_px * plane.mm_per_px).astype(np.float32),
        inside=np.clip(inside_px / np.float32(1.5) + np.float32(0.5), 0, 1).astype(np.float32),
        liquid=np.zeros_like(inside_px, dtype=np.float32),
        mm_per_px=plane.mm_per_px,
    )


def measure_radius_px(tissue: Grid) -> float:
    """Radius of the disc of the lesion's area."""
    return float(np.sqrt(max(int((tissue.rho <= 1).sum()), 1) / np.pi))


def map_to_disc(tissue: Grid) -> tuple[F32, F32]:
    """Coordinates (h w) in which the outline is the unit circle."""
    return tissue.rho * np.cos(tissue.angle), tissue.rho * np.sin(tissue.angle)


def find_cells(tissue: Grid, count: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], F32]:
    """Divide the lesion into irregular cells around random points: index (h w), and half the width of the way to the
    next cell in radii (h w).
    """
    scale = max(0.35 * measure_radius_px(tissue), 2.0)
    u, v = (axis + 0.14 * draw_smooth_field(tissue.shape, scale, rng) for axis in map_to_disc(tissue))
    radii, turns = 0.9 * np.sqrt(rng.random(count)), rng.uniform(0, 2 * np.pi, count)
    far = np.stack([np.hypot(u - r * np.cos(a), v - r * np.sin(a)) for r, a in zip(radii, turns, strict=True)])
    first, second = np.partition(far, 1, axis=0)[:2] if count > 1 else (far[0], far[0])
    return far.argmin(axis=0), np.asarray((second - first) / 2, dtype=np.float32)


def make_fan_mask(plane: Plane) -> npt.NDArray[np.bool_]:
    """Mask (h w) of the fan of the curved array; outside it the screen is black."""
    y = np.arange(plane.height)[:, None] * plane.mm_per_px
    x = (np.arange(plane.width)[None, :] - (plane.width - 1) / 2) * plane.mm_per_px
    apex = plane.probe_radius_mm * math.cos(plane.half_angle)
    radius, angle = np.hypot(y + apex, x), np.arctan2(x, y + apex)
    depth = plane.height * plane.mm_per_px
    near, far = radius >= plane.probe_radius_mm, radius <= plane.probe_radius_mm + depth
    return np.asarray(near & far & (np.abs(angle) <= plane.half_angle))
