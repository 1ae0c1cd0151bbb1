"""Contrast in space and time as a product of curves (t k) and maps (k h w).

Every point has a mixture of few curves; points with different delays mix the curves of neighbouring delays. So a long
video needs few maps, and the ground truth of any region is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.phantom import kinetics
from sim.phantom.kinetics import Liver, Seconds
from sim.phantom.random_fields import F32, draw_smooth_field, soft_step
from sim.phantom.shapes import Grid
from sim.phantom.vessels import Vessels

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


def build_liver_parts(vessels: Vessels, tissue: Grid, liver: Liver, rng: np.random.Generator) -> list[Part]:
    """The parts of the liver: uneven parenchyma, portal veins with their arteries, and hepatic veins.

    A vessel is all blood and a quarter of the parenchyma is, so a vessel stays brighter as long as there are bubbles.
    """
    outside = 1 - tissue.inside
    uneven = np.exp(0.10 * draw_smooth_field(tissue.shape, 0.12 * tissue.shape[0], rng))
    portal = soft_step(vessels.portal, 1.2) * outside
    hepatic = soft_step(vessels.hepatic, 1.2) * outside * (1 - portal)
    artery = soft_step(vessels.artery, 1.2) * outside
    capillary = (outside * (1 - portal - hepatic) * uneven).astype(np.float32)
    return [
        Part(capillary, lambda t, _: kinetics.parenchyma_curve(t, liver)),
        Part(portal, lambda t, _: 4.2 * kinetics.pool_curve(t, liver, -3.0)),
        Part(hepatic, lambda t, _: 3.9 * kinetics.pool_curve(t, liver, 0.5 * (liver.vein_s - liver.portal_s))),
        Part(artery, lambda t, _: 4.0 * kinetics.first_pass_curve(t, liver.arrival_s, liver.transit_s, liver.shape)),
    ]
