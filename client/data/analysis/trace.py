"""From an exam and an outline to key frames: track, curve, key frames, and what the quality sheet shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from ceus_models.study.processing import Processing
from client.data.analysis import keyframes, respiratory_gating, tic
from client.data.analysis.arrival import build_surrounding_mask, locate_start
from client.data.analysis.exam import Exam
from client.data.analysis.track_quality import TrackAssessment, assess_track
from client.data.analysis.tracking import BMODE, CONTRAST, METHODS, Track, track_box
from client.data.imaging.layout import LAYOUTS
from client.data.imaging.likeness import I8
from client.data.imaging.recording import F64, U8, Box
from client.data.outlines.outline import bounding_box
from client.faults.fault import Doubt

F32 = npt.NDArray[np.float32]

INJECTION_FROM = ("manifest", "first enhancement")
"""Where the time of the injection comes from, by the number in the quality figures."""


@dataclass(frozen=True, eq=False)
class Trace:
    """What the quality sheet shows of one lesion. Frames (t) are those that count: without flashes, repeated pictures
    and what follows a second injection.

    Attributes:
        reference: u8 (h w), part of the contrast pane of the annotated frame.
        polygon, box: Outline f64 (n 2) and crop on it, px.
        seconds: f64 (t), seconds since injection.
        tic, smoothed: f64 (t), measured and smoothed curve, a.u.
        chosen: i64 (k), key frames.
        correlation, held: (t), see tracking.Track.
        parameters: See tic.parameters.
        flow: f32 (n 2 h w), px.
        doubts: Why a person must check the track; empty where it is trusted.
        clip_doubts: Why a person must look at the clips, as phrases.
        shown: Doubts of the clips that withhold nothing.
        likeness: Digests of the clips' pictures i8 (n 2 h w).
        notes: Events found in the exam, as phrases.
        source: Where panes and times came from.
        left_out: Seconds of the frames that do not count, by reason.
        shift: f32 (t 2), see tracking.Track.
    """

    reference: U8
    polygon: F64
    box: Box
    seconds: F64
    tic: F64
    smoothed: F64
    peak_index: int
    chosen: npt.NDArray[np.int64]
    correlation: F64
    held: npt.NDArray[np.bool_]
    parameters: Mapping[str, float]
    flow: F32
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = ""
    left_out: Mapping[str, F64] = field(default_factory=dict)
    clip_doubts: tuple[str, ...] = ()
    shown: tuple[Doubt, ...] = ()
    likeness: tuple[I8, ...] = ()
    shift: F32 = field(default_factory=lambda: np.zeros((0, 2), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class TracedExam:
    """A trace without flow, key frames u8 (k size size), the figures of quality, whether the track is trusted, and what
    speaks against the clips.
    """

    trace: Trace
    frames: U8
    quality: Mapping[str, float]
    trust: TrackAssessment
    doubts: tuple[Doubt, ...] = ()


def trace_exam(exam: Exam, polygon: F64, processing: Processing, timed: bool = True) -> TracedExam:
    """What becomes of an exam.

    Args:
        polygon: f64 (n 2), outline in pane coordinates at the annotated frame, px.
        timed: Whether the exam's seconds count from the injection; else they count from the first enhancement.
    """
    box = box_around(polygon, processing.margin_px)
    method = BMODE if exam.bmode else CONTRAST
    track = track_box(exam.bmode or exam.contrast, exam.reference, box, method, processing)
    masks = [tic.build_soft_mask(polygon)]
    if processing.start == "arrival":
        masks.append(build_surrounding_mask(polygon, box))
    curves = _build_curves(exam, masks, track, processing)
    seconds, curve = exam.seconds, curves[0]
    found = tic.compute_parameters(curve, seconds)
    arrival = found.get("t0", float(seconds[0]))
    seen = np.ones_like(track.held) if method == BMODE else seconds >= arrival
    trust = assess_track(track, seconds, seen, exam.reference)
    if not timed:
        seconds = seconds - arrival
        found = tic.compute_parameters(curve, seconds)
    peak = curve.peak if curve.enhances else None
    first = min(locate_start(curves, seconds), curve.peak) if processing.start == "arrival" else 0
    chosen = keyframes.choose_key_frames(
        seconds, peak, track.held, processing.frames_to_peak, processing.frames_after, first
    )
    trace = Trace(
        reference=exam.contrast[exam.reference].copy(),
        polygon=polygon,
        box=box,
        seconds=seconds,
        tic=curve.values,
        smoothed=curve.smoothed,
        peak_index=curve.peak,
        chosen=chosen,
        correlation=track.correlation.astype(np.float64),
        held=track.held,
        parameters=found,
        flow=np.zeros((0, 2, processing.flow_size, processing.flow_size), dtype=np.float32),
        doubts=trust.doubts,
        notes=_list_notes(exam, timed),
        source=_describe_source(exam, track, timed),
        left_out={why: moments - (0.0 if timed else arrival) for why, moments in exam.left_out.items()},
        shift=track.shift,
    )
    frames = np.stack([_crop(exam.contrast[i], box, track.shift[i], processing.size) for i in chosen])
    quality = {**_collect_quality(exam, track, curve), **trust.figures, "injection_from": float(not timed), **found}
    return TracedExam(trace, frames, quality, trust)


def box_around(polygon: F64, margin_px: float) -> Box:
    """The minimum upright rectangle of a polygon (n 2) and a margin, in whole pixels; may reach outside the pane."""
    x0, y0, x1, y1 = bounding_box(polygon)
    low_x, low_y = int(np.floor(x0 - margin_px)), int(np.floor(y0 - margin_px))
    return low_x, low_y, int(np.ceil(x1 + margin_px)) + 1, int(np.ceil(y1 + margin_px)) + 1


def _build_curves(exam: Exam, masks: Sequence[tic.Mask], track: Track, processing: Processing) -> list[tic.Tic]:
    """The curve of each region, the lesion's first.

    On the contrast pane frames are also held because they are dark: those belong to the curve, deep breaths not.
    """
    table = tic.build_linear_table(exam.first.dynamic_range_db or processing.dynamic_range_db, processing.linearise)
    means = [tic.compute_weighted_means(exam.contrast, mask, track.shift, table) for mask in masks]
    outside = track.held
    if track.method != BMODE:
        seen = exam.seconds >= tic.find_arrival_s(means[0], exam.seconds, processing.smoothing_s)
        outside = respiratory_gating.find_deep_breaths(track.shift, exam.seconds, seen)
    return [tic.build_curve(one, exam.seconds, outside, processing.smoothing_s) for one in means]


def _list_notes(exam: Exam, timed: bool) -> tuple[str, ...]:
    notes = []
    if exam.flash:
        notes.append(f"{exam.flash} frames of flashes and refill left out")
    if exam.frozen:
        notes.append(f"{exam.frozen} repeated pictures left out")
    if exam.reinjection_s is not None:
        notes.append(f"cut at a second injection, {'declared' if exam.declared else 'recognised'}")
    if not timed:
        notes.append("time counts from the first enhancement")
    return tuple(notes)


def _describe_source(exam: Exam, track: Track, timed: bool) -> str:
    clip = exam.first
    sure = f", {clip.layout_confidence:.0%} sure" if clip.layout == "detected" else ""
    panes = "B-mode pane" if track.method == BMODE else "contrast pane alone"
    injection = INJECTION_FROM[int(not timed)]
    return (
        f"panes from {clip.layout}{sure} · tracked on the {panes} · times from {clip.times_from} · "
        f"injection from {injection}"
    )


def _collect_quality(exam: Exam, track: Track, curve: tic.Tic) -> dict[str, float]:
    others = np.delete(track.correlation, exam.reference)
    found = {
        "frames": float(len(exam.seconds)),
        "duration_s": float(exam.seconds[-1] - exam.seconds[0]),
        "tracking_method": float(METHODS.index(track.method)),
        "layout": float(LAYOUTS.index(exam.first.layout)),
        "layout_confidence": exam.first.layout_confidence,
        "correlation_mean": float(others.mean()),
        "correlation_min": float(others.min()),
        "held_share": float(track.held.mean()),
        "enhances": float(curve.enhances),
        "flash_frames": float(exam.flash),
        "frozen_frames": float(exam.frozen),
        "reinjection": float(exam.reinjection_s is not None),
    }
    if exam.first.mm_per_pixel is not None:
        found["mm_per_pixel"] = exam.first.mm_per_pixel
    return found


def _crop(frame: U8, box: Box, shift: F32, side: int) -> U8:
    """The box moved by `shift` (2), resized to (side side); beyond the pane it is black, like beyond the fan."""
    x, y = np.rint(shift).astype(int).tolist()
    x0, y0, x1, y1 = box[0] + x, box[1] + y, box[2] + x, box[3] + y
    rows, columns = frame.shape
    inner = frame[min(rows, max(0, y0)) : max(0, y1), min(columns, max(0, x0)) : max(0, x1)]
    if inner.shape != (y1 - y0, x1 - x0):
        part = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
        top, left = max(0, -y0), max(0, -x0)
        part[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        inner = part
    shrinks = max(inner.shape) > side
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inner, (side, side), interpolation=method), dtype=np.uint8)
