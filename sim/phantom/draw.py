"""The random parameters of a lesion's video, and the types of its frames and ground truth.

`draw_lesion` draws all parameters, which the truth file records; `render` only computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, with_config

from ceus_models.runtime.seeds import derive_seed
from sim.patients.patients import Case
from sim.phantom import kinetics, motion, patterns, shapes
from sim.phantom.bmode import Echo, draw_echo

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
ROI_MARGINS_PX = (0, 5, 10, 20)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class PhantomSettings:
    """Settings of a lesion's video (the plan's section `simulation.phantom`).

    Args:
        pane_px: (h, w) of one pane before the manufacturer's factor.
        depth_cm: usual depth.
        frame_rate_hz: of all clips.
        continuous_s: length of the first clip.
        snapshots_s: seconds after injection at which later clips start.
        snapshot_length_s: length of later clips.
        irregular: frame times jitter where the file format allows it.
        out_of_plane: share of lesions that leave the plane in 10-30 % of their frames.
        breathing_mm: median amplitude.
        contrast_only: share of lesions without a B-mode pane.
        bubbles_per_cell: mean number of bubbles in a resolution cell.
        jpeg_quality: of compressed DICOM.
        full_motion: every lesion moves as in `motion.full_motion`.
    """

    pane_px: tuple[int, int] = (100, 100)
    depth_cm: float = 12.5
    frame_rate_hz: float = 1.6
    continuous_s: float = 56.0
    snapshots_s: tuple[float, ...] = (90.0, 120.0, 180.0)
    snapshot_length_s: float = 5.0
    irregular: bool = True
    out_of_plane: float = 0.35
    breathing_mm: float = 11.9
    contrast_only: float = 0.04
    bubbles_per_cell: float = 12.0
    jpeg_quality: int = 85
    full_motion: bool = False


PRESETS: Mapping[str, PhantomSettings] = {
    "smoke": PhantomSettings(
        pane_px=(64, 64), frame_rate_hz=1.0, continuous_s=45.0, snapshots_s=(100.0,), snapshot_length_s=4.0
    ),
    "demo": PhantomSettings(),
    "paper": PhantomSettings(
        pane_px=(450, 450), frame_rate_hz=10.0, continuous_s=90.0, snapshots_s=(120.0, 180.0, 240.0)
    ),
}


@dataclass(frozen=True)
class Machine:
    """A scanner's factors on rate and size, gain and dynamic range in dB."""

    rate: float = 1.0
    size: float = 1.0
    gain_db: float = 0.0
    dynamic_range_db: float = 60.0


@dataclass(frozen=True)
class Physics:
    """Parameters of the imaging chain, in dB relative to contrast 1 (the parenchyma's peak)."""

    leakage_db: float
    noise_db: float
    destruction_per_frame: float
    depth_gain_db: float  # residual of the depth compensation over the pane, smooth
    gain_db: float


@dataclass(frozen=True)
class LesionDraw:
    """All random parameters of one lesion's video."""

    tissue: str
    liver: kinetics.Liver
    kinetics: kinetics.Kinetics
    pattern: patterns.Pattern
    plane: shapes.Plane
    echo: Echo
    breathing: motion.Breathing
    physics: Physics
    dynamic_range_db: float
    slice_share: float  # radius of the lesion's slice out of the plane, relative to in the plane
    clip_seconds: tuple[F64, ...]  # per clip (t): seconds after injection
    render_seed: int


@dataclass(frozen=True)
class Truth:
    """The ground truth, in px of the contrast pane, (x, y); t runs over all clips."""

    seconds: F64
    shift_px: F64  # (t 2) of the tissue
    boxes: F64  # (t 4) x0 y0 x1 y1 of the lesion, x1 and y1 exclusive
    out: F64  # (t) share out of the plane
    lesion_tic: F64  # (t) mean over the lesion, linear, of bubbles that are not destroyed; so are the other two
    parenchyma_tic: F64  # (t)
    roi_tic: F64  # (m t) mean over the lesion's box with the margins of `ROI_MARGINS_PX`
    reference: int  # frame of the FIRST clip that is outlined
    mask: npt.NDArray[np.bool_]  # (h w) the lesion at the reference frame
    peak_s: float  # of the lesion's TIC, see client.data.analysis.tic.find_first_peak
    washout_s: float  # operational onset of the enhancing tissue, inf where none


@dataclass(frozen=True)
class Film:
    """Rendered panes of one clip, u8 (t h w) each, and its frame times (t) in seconds after injection."""

    contrast: U8
    bmode: U8
    seconds: F64


def _make_generator(seed: int, *parts: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(derive_seed(seed, "phantom", *parts)))


def draw_frame_times(
    settings: PhantomSettings, rate: float, irregular: bool, rng: np.random.Generator
) -> tuple[F64, ...]:
    """Draw the frame times of every clip in seconds after injection; intervals are whole microseconds, as in DICOM."""
    hz = settings.frame_rate_hz * rate
    starts = [float(rng.uniform(0, 3)), *(s + float(rng.uniform(-4, 4)) for s in settings.snapshots_s)]
    lengths = [settings.continuous_s, *(settings.snapshot_length_s for _ in settings.snapshots_s)]
    clips = []
    for start, length in zip(starts, lengths, strict=True):
        intervals = np.full(max(round(length * hz), 3) - 1, 1.0 / hz)
        if irregular:
            intervals *= 1 + 0.12 * rng.uniform(-1, 1, intervals.size)
            intervals[rng.random(intervals.size) < 0.02] *= 2  # a dropped frame
        offsets = np.concatenate([[0.0], np.cumsum(np.round(intervals, 6))])
        clips.append(round(start, 3) + offsets)
    if any(a[-1] >= b[0] for a, b in pairwise(clips)):
        raise ValueError("expected clips one after the other, they overlap; let snapshots_s start after continuous_s")
    return tuple(clips)


def draw_lesion(case: Case, settings: PhantomSettings, machine: Machine, irregular: bool, seed: int) -> LesionDraw:
    """Draw all parameters of a lesion, from seed and case alone; lesions of one patient share the liver."""
    cirrhosis, fatty = (bool(case.clinical.get(k)) for k in ("cirrhosis", "fatty_liver"))
    place = (case.center, case.lesion_id)
    rng = _make_generator(seed, "draw", *place)
    kind, entity, grade, size = case.fll_type, case.subtype, case.grade, case.size_cm
    tissue = kinetics.select_tissue(kind, entity)
    pane = compute_pane(settings, machine)
    moves = motion.draw_full_motion if settings.full_motion else _keep_motion
    return LesionDraw(
        tissue=tissue,
        liver=kinetics.draw_liver(cirrhosis, _make_generator(seed, "liver", case.center, case.patient_id)),
        kinetics=kinetics.draw_kinetics(kind, entity, grade, size, rng),
        pattern=patterns.draw_pattern(kind, entity, grade, size, rng),
        plane=shapes.draw_plane(pane, settings.depth_cm, kind, size, rng),
        echo=draw_echo(tissue, cirrhosis, fatty, rng),
        breathing=moves(
            motion.draw_breathing(settings.breathing_mm, settings.out_of_plane, rng),
            _make_generator(seed, "motion", *place),
        ),
        physics=Physics(
            leakage_db=float(rng.uniform(-36, -30)),
            noise_db=float(rng.uniform(-40, -36)),
            destruction_per_frame=float(rng.uniform(1e-4, 3e-4)),
            depth_gain_db=float(rng.normal(0, 1.5)) - (2.5 if fatty else 0.0),
            gain_db=machine.gain_db + float(rng.normal(0, 1.0)),
        ),
        dynamic_range_db=machine.dynamic_range_db,
        slice_share=float(rng.uniform(0.2, 0.65)),
        clip_seconds=draw_frame_times(settings, machine.rate, irregular, rng),
        render_seed=derive_seed(seed, "phantom", "render", *place),
    )


def _keep_motion(usual: motion.Breathing, _rng: np.random.Generator) -> motion.Breathing:
    return usual


def compute_pane(settings: PhantomSettings, machine: Machine) -> tuple[int, int]:
    """(h, w) of this machine's panes in px, both even."""
    height, width = (2 * round(n * machine.size / 2) for n in settings.pane_px)
    return height, width
