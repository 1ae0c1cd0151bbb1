"""The imaging chain: from a lesion's parameters to its panes and ground truth.

contrast = log(bubbles * speckle * gain + tissue leakage + noise), b-mode = log(echoes * speckle + noise); both
move with the tissue, the field of view does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from client.data.analysis.tic import find_first_peak
from sim.phantom import kinetics, motion, perfusion, shapes, speckle
from sim.phantom.bmode import compute_reflectivity
from sim.phantom.draw import F64, ROI_MARGINS_PX, U8, Film, LesionDraw, PhantomSettings, Truth
from sim.phantom.lesion_parts import build_lesion_parts
from sim.phantom.liquid import fill_with_liquid
from sim.phantom.perfusion import Perfusion
from sim.phantom.random_fields import F32
from sim.phantom.vessels import map_vessels, narrow_beside

LEVEL_AT_ONE = 140.0  # mean display level of contrast 1 at neutral gain; a real plateau reads 146 of 255
BMODE_LEVEL = 105.0  # the same for the liver in B-mode
LOG_BIAS_DB = 2.51  # fully developed speckle averaged after log compression reads this low
ACQUIRED_HZ = 10.0  # frames per second that insonate the bubbles, whatever is stored


@dataclass(frozen=True)
class Scene:
    """The constant part of a lesion's frames; maps are padded, gains are those of the pane."""

    middle: Perfusion  # the slice through the lesion's middle
    beside: Perfusion  # the slice out of the plane
    echoes: F32  # (2 h w) square root of the reflectivity of both slices
    trace: motion.Trace
    shift_px: F64  # (t 2) as (x, y)
    spread: speckle.PointSpread
    gain: F32  # (h 1) depth gain of the contrast
    noise: F32  # (h 1) electronic noise power
    view: npt.NDArray[np.bool_]  # (h w)


def render(draw: LesionDraw, settings: PhantomSettings) -> tuple[tuple[Film, ...], Truth]:
    """Render one `Film` per clip, and the ground truth over all clips; the same draw gives the same bytes."""
    rng = np.random.Generator(np.random.SFC64(draw.render_seed))
    scene = build_scene(draw, rng)
    left = compute_remaining(draw, settings)
    contrast, bmode = _render_frames(scene, draw, (settings, left), rng)
    ends = np.cumsum([0, *(seconds.size for seconds in draw.clip_seconds)])
    films = tuple(
        Film(contrast[a:b], bmode[a:b], seconds)
        for (a, b), seconds in zip(pairwise(ends), draw.clip_seconds, strict=True)
    )
    return films, compute_truth(draw, scene, left)


def build_scene(draw: LesionDraw, rng: np.random.Generator) -> Scene:
    """Maps, curves and motion of one lesion."""
    plane, seconds = draw.plane, np.concatenate(draw.clip_seconds)
    trace = motion.draw_trace(seconds, draw.breathing, rng)
    shift = trace.shift_mm / plane.mm_per_px
    pane = (plane.height, plane.width)
    sigma = speckle.measure_spread(pane, 0).across[-1]
    padding = int(np.ceil(np.abs(shift).max() + 3 * sigma)) + 1
    whole = shapes.make_grid(plane, padding)
    vessels = map_vessels(plane.portal, plane.hepatic, (whole.y, whole.x), plane.mm_per_px)
    vessels = narrow_beside(vessels, whole.inside_mm)
    texture_seed = int(rng.integers(2**63))
    slices = []
    for shrink in (1.0, draw.slice_share):
        # the same seed, so that the liver around the lesion is the same liver in both slices
        own = np.random.Generator(np.random.SFC64(texture_seed))
        tissue = fill_with_liquid(draw.pattern, shapes.make_grid(plane, padding, shrink), own)
        parts = perfusion.build_liver_parts(vessels, tissue, draw.liver, own)
        parts += build_lesion_parts(draw.pattern, tissue, draw.liver, draw.kinetics, own)
        echoes = np.sqrt(compute_reflectivity(draw.echo, plane, tissue, vessels, own))
        slices.append((perfusion.compose_perfusion(parts, seconds), echoes))
    depth = np.linspace(0, 1, plane.height, dtype=np.float32)[:, None]
    amounts = draw.physics
    return Scene(
        middle=slices[0][0],
        beside=slices[1][0],
        echoes=np.stack([echo for _, echo in slices]),
        trace=trace,
        shift_px=shift,
        spread=speckle.measure_spread(pane, padding),
        gain=_convert_from_db(amounts.depth_gain_db * (depth - 0.5)),
        noise=_convert_from_db(amounts.noise_db + 7 * (depth - 1)),
        view=shapes.make_fan_mask(plane),
    )


def _convert_from_db(db: F32) -> F32:
    return np.asarray(np.power(np.float32(10), db / np.float32(10)), dtype=np.float32)


def compute_remaining(draw: LesionDraw, settings: PhantomSettings) -> F64:
    """Share (t) of the bubbles that earlier frames have not destroyed."""
    lost = draw.physics.destruction_per_frame * ACQUIRED_HZ / settings.frame_rate_hz
    return np.asarray(np.exp(-lost * np.arange(sum(seconds.size for seconds in draw.clip_seconds))), dtype=np.float64)


def _render_frames(
    scene: Scene, draw: LesionDraw, course: tuple[PhantomSettings, F64], rng: np.random.Generator
) -> tuple[U8, U8]:
    """Both panes (t h w); `course` holds the settings and the share (t) of the bubbles that are left."""
    plane, amounts = draw.plane, draw.physics
    settings, left = course
    shape = (scene.echoes.shape[1], scene.echoes.shape[2])
    count = scene.trace.out.size
    bubbles = speckle.draw_flowing_fields(shape, speckle.MEASURED_FLOW, rng)
    places = speckle.draw_bubble_places(shape, rng)
    per_pixel = settings.bubbles_per_cell / scene.spread.cell_px
    scatterers = [speckle.draw_complex_field(shape, rng) for _ in range(2)]
    contrast = np.zeros((count, plane.height, plane.width), np.uint8)
    bmode = np.zeros_like(contrast)
    leakage = np.float32(10 ** (amounts.leakage_db / 10))
    far = _convert_from_db(-draw.echo.far_loss_db * np.linspace(0, 1, plane.height, dtype=np.float32)[:, None])
    for i in range(count):
        out = np.float32(scene.trace.out[i])
        weights = scene.spread.weights((float(scene.shift_px[i, 0]), float(scene.shift_px[i, 1])))
        tissue = np.sqrt(1 - out) * scene.echoes[0] * scatterers[0]
        if out > 0:
            tissue += np.sqrt(out) * scene.echoes[1] * scatterers[1]
        echo = speckle.intensity(tissue, weights) * far
        power = _compute_contrast(scene, i, float(out)) * np.float32(left[i])
        field = next(bubbles) * np.sqrt(speckle.compute_bubble_power(power, places, per_pixel))
        signal = speckle.intensity(field, weights) * scene.gain + leakage * echo
        hiss = rng.standard_exponential(echo.shape, dtype=np.float32)
        contrast[i] = _compress_to_levels(
            signal + scene.noise * hiss, LEVEL_AT_ONE, draw.dynamic_range_db, amounts.gain_db
        )
        bmode[i] = _compress_to_levels(echo + np.float32(0.006) * hiss[::-1], BMODE_LEVEL, draw.dynamic_range_db, 0.0)
    contrast[:, ~scene.view] = 0
    bmode[:, ~scene.view] = 0
    return contrast, bmode


def _compute_contrast(scene: Scene, i: int, out: float) -> F32:
    """Contrast power (h w, padded) at frame i."""
    power = np.tensordot(scene.middle.curves[i], scene.middle.maps, axes=1)
    if out > 0:
        beside = np.tensordot(scene.beside.curves[i], scene.beside.maps, axes=1)
        power = (1 - out) * power + out * beside
    return np.maximum(power, 0).astype(np.float32)


def _compress_to_levels(power: F32, level_at_one: float, dynamic_range_db: float, gain_db: float) -> U8:
    """v = 255 clip((10 log10 I + offset) / DR), with power 1 shown at `level_at_one` on average."""
    slope = np.float32(255 / dynamic_range_db)
    offset = np.float32(level_at_one + (gain_db + LOG_BIAS_DB) * 255 / dynamic_range_db)
    level = np.maximum(power, np.float32(1e-9))  # the rest in place: new arrays take as long as the logarithm
    np.log10(level, out=level)
    level *= 10 * slope
    level += offset
    np.clip(level, 0, 255, out=level)
    return np.rint(level, out=level).astype(np.uint8)


def compute_truth(draw: LesionDraw, scene: Scene, left: F64) -> Truth:
    """The ground truth of a scene; its curves are those of the slice through the lesion's middle.

    `left` (t) is the share of the bubbles that are not destroyed; the curves include it.
    """
    plane, seconds = draw.plane, np.concatenate(draw.clip_seconds)
    padding = scene.spread.padding
    tissue = shapes.make_grid(plane, padding)
    lesion = tissue.rho <= 1
    rows, columns = np.flatnonzero(lesion.any(axis=1)), np.flatnonzero(lesion.any(axis=0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    rois = [left * scene.middle.mean(_make_box_mask(lesion.shape, box, margin, padding)) for margin in ROI_MARGINS_PX]
    curve = left * scene.middle.mean(lesion)
    reference = _select_reference(draw, scene, curve)
    moved = np.concatenate([scene.shift_px, scene.shift_px], axis=1)
    return Truth(
        seconds=seconds,
        shift_px=scene.shift_px,
        boxes=(box - padding) + moved,
        out=scene.trace.out,
        lesion_tic=curve,
        parenchyma_tic=left * kinetics.parenchyma_curve(seconds, draw.liver),
        roi_tic=np.stack(rois),
        reference=reference,
        mask=make_lesion_mask(plane, (float(scene.shift_px[reference, 0]), float(scene.shift_px[reference, 1]))),
        peak_s=float(seconds[find_first_peak(curve)]),
        washout_s=kinetics.compute_washout_onset_s(draw.liver, draw.kinetics),
    )


def _make_box_mask(
    shape: tuple[int, ...], box: npt.NDArray[np.int64], margin: int, padding: int
) -> npt.NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    low = np.maximum(box[:2] - margin, padding)
    high = np.minimum(box[2:] + margin, np.array([shape[1], shape[0]]) - padding)
    mask[low[1] : high[1], low[0] : high[0]] = True
    return mask


def _select_reference(draw: LesionDraw, scene: Scene, tic: F64) -> int:
    """The in-plane frame of the first clip nearest to the lesion's arterial peak."""
    seconds = draw.clip_seconds[0]
    arterial = seconds < draw.liver.arrival_s + 28
    peak = seconds[int(np.argmax(np.where(arterial, tic[: seconds.size], -1.0)))]
    cost = np.abs(seconds - peak) + 1e3 * (scene.trace.out[: seconds.size] > 0.02)
    return int(cost.argmin())


def make_lesion_mask(plane: shapes.Plane, shift_px: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Mask (h w) of the lesion on the pane after a shift of the tissue by (x, y) px."""
    y = np.arange(plane.height)[:, None] - plane.outline.y - shift_px[1]
    x = np.arange(plane.width)[None, :] - plane.outline.x - shift_px[0]
    return np.asarray(np.hypot(y, x) <= plane.outline.radius(np.arctan2(y, x)))
