"""One lesion from its files to its sample: read, track, curve, key frames, flow. The trace is for the eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from ceus_models.processing import Processing
from ceus_models.sample import Sample
from client import keyframes, tic
from client.clip import LAYOUTS, Clip, open_clip
from client.config import SiteConfig, pseudonym, screens_for
from client.flow import flow_maps
from client.manifest import Row
from client.outline import bounding_box, check_screen, in_pane, read_outline
from client.recording import F64, U8, Box, ClipError
from client.tracking import BMODE, CONTRAST, METHODS, Track, follow

F32 = npt.NDArray[np.float32]

MIN_FRAMES = 8
"""Fewer frames are pictures, not a course in time."""
_OVERLAP_S = 0.5
"""Start times are written by hand, to the half second at best."""


@dataclass(frozen=True, eq=False)
class Trace:
    """What the quality sheet shows of one lesion.

    reference u8 (h w): contrast pane of the annotated frame · polygon f64 (n 2), box: outline and crop on it, px ·
    seconds f64 (t) since injection · tic, smoothed f64 (t), a.u. · peak_index · chosen i64 (k): key frames ·
    correlation (t), held (t): see tracking.Track · parameters: see tic.parameters · flow f32 (n 2 h w), px.
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


@dataclass(frozen=True, eq=False)
class Exam:
    """The clips of one lesion on one time axis. contrast, bmode: frames (h w), views into the clips, bmode empty where
    a clip has none · seconds f64 (t), strictly rising · reference: index of the annotated frame.
    """

    first: Clip
    contrast: Sequence[U8]
    bmode: Sequence[U8]
    seconds: F64
    reference: int


def sample_of(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The sample of one row of the table, and how it came about. Raises ClipError, OutlineError."""
    screens = screens_for(site, row.manufacturer)
    clips = [open_clip(spec.path, spec.start_s, row.frame_rate_hz, screens) for spec in row.clips]
    outline = read_outline(row.outline.path, row.outline.frame, row.outline.pane)
    check_screen(outline, clips[0].rows, clips[0].columns, len(clips[0].seconds))
    polygon = in_pane(outline, clips[0].contrast_box, clips[0].bmode_box)
    trace, frames, quality = traced(joined(clips, outline.frame), polygon, processing)
    flow, scale = flow_maps(frames, processing)
    trace = replace(trace, flow=flow.astype(np.float32) * np.float32(scale))
    peak = float(trace.smoothed[trace.peak_index])
    sample = Sample(
        key=pseudonym(site, "lesion", row.lesion_id),
        patient=pseudonym(site, "patient", row.patient_id),
        cohort=row.cohort,
        frames=frames,
        flow=flow,
        flow_scale=scale,
        curve=(trace.smoothed[trace.chosen] / (peak if peak > 0 else 1.0)).astype(np.float32),
        clinical=np.array(row.clinical, dtype=np.float32),
        biomarkers=np.array(row.biomarkers, dtype=np.float32),
        label=row.label,
        groups=row.groups,
        quality=quality,
    )
    return sample, trace


def joined(clips: Sequence[Clip], frame: int) -> Exam:
    """Clips on one time axis. frame: the annotated one, 0-based in the first clip. Raises ClipError."""
    _check_alike(clips)
    seconds = np.concatenate([clip.seconds for clip in clips])
    order = np.argsort(seconds, kind="stable")
    reference = int(np.flatnonzero(order == frame)[0])
    rising = np.concatenate([[True], np.diff(seconds[order]) > 0])
    if not rising[reference]:  # of two frames at one time, the annotated one stays
        rising[reference - 1 : reference + 1] = False, True
    order, reference = order[rising], int(rising[:reference].sum())
    contrast = [picture for clip in clips for picture in clip.contrast]
    bmode = [picture for clip in clips if clip.bmode is not None for picture in clip.bmode]
    if len(order) < MIN_FRAMES:
        raise ClipError(
            "too-few-frames",
            f"the clips of a lesion have at least {MIN_FRAMES} frames together",
            f"{len(order)}",
            "add the cine loop of the arterial phase",
        )
    chosen_bmode = [bmode[index] for index in order] if len(bmode) == len(contrast) else []
    return Exam(clips[0], [contrast[index] for index in order], chosen_bmode, seconds[order], reference)


def _check_alike(clips: Sequence[Clip]) -> None:
    for number, (one, other) in enumerate(pairwise(clips), start=1):
        if one.seconds[-1] > other.seconds[0] + _OVERLAP_S:
            raise ClipError(
                "clips-overlap",
                "a clip ends before the next one starts",
                f"clip {number} ends at {one.seconds[-1]:.1f} s, the next starts at {other.seconds[0]:.1f} s",
                "correct clip_start_s, or frame_rate_hz if the clips play at another speed than they were taken",
            )
        if one.contrast.shape[1:] != other.contrast.shape[1:]:
            raise ClipError(
                "clips-differ",
                "all clips of a lesion show panes of one size",
                f"another size in clip {number + 1}",
                "list only clips of one layout and depth",
            )


def traced(exam: Exam, polygon: F64, processing: Processing) -> tuple[Trace, U8, Mapping[str, float]]:
    """Trace without flow, key frames u8 (k size size), and the figures of quality.

    polygon f64 (n 2): outline in pane coordinates at the annotated frame, px.
    """
    box = box_around(polygon, processing.margin_px)
    method = BMODE if exam.bmode else CONTRAST
    track = follow(exam.bmode or exam.contrast, exam.reference, box, method, processing)
    table = tic.linear_table(exam.first.dynamic_range_db or processing.dynamic_range_db, processing.linearise)
    means = tic.roi_mean(exam.contrast, polygon, track.shift, table)
    # On the contrast pane frames are also held because they are dark, and those belong to the curve.
    outside = track.held if method == BMODE else np.zeros_like(track.held)
    curve = tic.curve(means, exam.seconds, outside, processing.smoothing_s)
    chosen = keyframes.choose(
        exam.seconds,
        curve.peak if curve.enhances else None,
        track.held,
        processing.frames_to_peak,
        processing.frames_after,
    )
    frames = np.stack([_crop(exam.contrast[i], box, track.shift[i], processing.size) for i in chosen])
    parameters = tic.parameters(curve, exam.seconds)
    trace = Trace(
        reference=exam.contrast[exam.reference].copy(),
        polygon=polygon,
        box=box,
        seconds=exam.seconds,
        tic=curve.values,
        smoothed=curve.smoothed,
        peak_index=curve.peak,
        chosen=chosen,
        correlation=track.correlation.astype(np.float64),
        held=track.held,
        parameters=parameters,
        flow=np.zeros((0, 2, processing.flow_size, processing.flow_size), dtype=np.float32),
    )
    return trace, frames, _quality(exam, track, curve, parameters)


def box_around(polygon: F64, margin_px: float) -> Box:
    """The minimum upright rectangle of a polygon (n 2) and a margin, in whole pixels; may reach outside the pane."""
    x0, y0, x1, y1 = bounding_box(polygon)
    low_x, low_y = int(np.floor(x0 - margin_px)), int(np.floor(y0 - margin_px))
    return low_x, low_y, int(np.ceil(x1 + margin_px)) + 1, int(np.ceil(y1 + margin_px)) + 1


def _quality(exam: Exam, track: Track, curve: tic.Tic, parameters: Mapping[str, float]) -> Mapping[str, float]:
    others = np.delete(track.correlation, exam.reference)
    found = {
        "frames": float(len(exam.seconds)),
        "duration_s": float(exam.seconds[-1] - exam.seconds[0]),
        "tracking_method": float(METHODS.index(track.method)),
        "layout": float(LAYOUTS.index(exam.first.layout)),
        "correlation_mean": float(others.mean()),
        "correlation_min": float(others.min()),
        "held_share": float(track.held.mean()),
        "enhances": float(curve.enhances),
    }
    if exam.first.mm_per_pixel is not None:
        found["mm_per_pixel"] = exam.first.mm_per_pixel
    return found | dict(parameters)


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
