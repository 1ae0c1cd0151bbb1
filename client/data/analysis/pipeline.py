"""One lesion from its files to its sample: read, track, curve, key frames, flow. The trace is for the eye."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from client.data.analysis.exam import check_size, crop_clip, join_clips
from client.data.analysis.optical_flow import compute_flow_maps
from client.data.analysis.trace import Trace, TracedExam, box_around, trace_exam
from client.data.analysis.track_quality import require_trusted
from client.data.forms.site_config import SiteConfig, make_pseudonym, select_screens
from client.data.imaging.clip import Clip, open_clip
from client.data.imaging.recording import F64, Box
from client.data.imaging.tint import TINTS
from client.data.outlines.outline import View, place_in_pane, read_outline
from client.data.table.rows import Row

__all__ = [
    "OpenedLesion",
    "Trace",
    "build_doubtful_sample",
    "build_sample",
    "open_row",
    "sample_from_clips",
    "trace_outline",
    "trace_row",
]

_BORDER_PX = 16.0
"""Around the part of a pane in which the lesion is searched: no search ends on the rim of what was kept."""


@dataclass(frozen=True, eq=False)
class OpenedLesion:
    """A lesion's clips, whole, and its outline.

    Attributes:
        polygon: f64 (n 2), outline in pane coordinates, px.
        frame: The outlined frame, 0-based in the first clip.
    """

    clips: tuple[Clip, ...]
    polygon: F64
    frame: int


def build_sample(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The sample of one row of the table, and how it came about.

    Raises ClipError, OutlineError, and UntrustedTrack where the track must be looked at and was not.
    """
    clips = open_row(row, site)
    return sample_from_clips(trace_outline(clips, clips.polygon, row, processing), row, site, processing)


def sample_from_clips(found: TracedExam, row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The sample of what was found of a row. Raises UntrustedTrack as `build_sample`."""
    require_trusted(found.trust, row.track_checked)
    return _make_sample(found, row, site, processing)


def build_doubtful_sample(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The very same, also where the track must be looked at, as the trace then says. Raises ClipError, OutlineError."""
    clips = open_row(row, site)
    return _make_sample(trace_outline(clips, clips.polygon, row, processing), row, site, processing)


def _make_sample(found: TracedExam, row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    flow, scale = compute_flow_maps(found.frames, processing)
    trace = _with_flow(found.trace, flow, scale)
    top = float(trace.smoothed.max())
    sample = Sample(
        key=make_pseudonym(site, "lesion", row.lesion_id),
        patient=make_pseudonym(site, "patient", row.patient_id),
        cohort=row.cohort,
        frames=found.frames,
        flow=flow,
        flow_scale=scale,
        curve=(trace.smoothed[trace.chosen] / (top if top > 0 else 1.0)).astype(np.float32),
        clinical=np.array(row.clinical, dtype=np.float32),
        biomarkers=np.array(row.biomarkers, dtype=np.float32),
        label=row.label,
        groups=row.groups,
        quality=found.quality,
    )
    return sample, trace


def trace_row(row: Row, site: SiteConfig, processing: Processing) -> TracedExam:
    """What was found of one row, trusted or not, for a quality sheet. Raises ClipError, OutlineError."""
    clips = open_row(row, site)
    found = trace_outline(clips, clips.polygon, row, processing)
    return replace(found, trace=_with_flow(found.trace, *compute_flow_maps(found.frames, processing)))


def _with_flow(trace: Trace, flow: npt.NDArray[np.int8], scale: float) -> Trace:
    return replace(trace, flow=flow.astype(np.float32) * np.float32(scale))


def open_row(row: Row, site: SiteConfig) -> OpenedLesion:
    """The clips of a row, one after the other. Raises ClipError, OutlineError."""
    screens, tints = select_screens(site, row.manufacturer), {**TINTS, **site.tints}
    outline = read_outline(row.outline.path, row.outline.frame, row.outline.pane, site.outline_labels)
    clips: list[Clip] = []
    polygon = np.zeros((0, 2))
    for number, spec in enumerate(row.clips, start=1):
        clip = open_clip(spec.path, spec.start_s, row.frame_rate_hz, screens, tints, site.work)
        if number == 1:
            polygon = place_in_pane(outline, _make_view(clip))
            screens = (*screens, *clip.detected)
        clips.append(clip)
        check_size(clips[0].contrast.shape[1:], clip, number)
    return OpenedLesion(tuple(clips), polygon, outline.frame)


def trace_outline(found: OpenedLesion, polygon: F64, row: Row, processing: Processing) -> TracedExam:
    """What an outline finds in a lesion's clips; of several, only the part where the lesion can be is used.

    polygon f64 (n 2): `found.polygon`, or another outline on the same frame. Raises ClipError.
    """
    first = found.clips[0]
    part = _choose_search_box(polygon, processing)
    clips = [crop_clip(clip, part) for clip in found.clips] if len(found.clips) > 1 else [first]
    exam = join_clips(clips, found.frame, row.reinjection_s)
    return trace_exam(exam, polygon - np.subtract(clips[0].offset, first.offset), processing, row.timed)


def _make_view(clip: Clip) -> View:
    return View(clip.rows, clip.columns, len(clip.seconds), clip.contrast_box, clip.bmode_box)


def _choose_search_box(polygon: F64, processing: Processing) -> Box:
    """Where in the pane the lesion can be: its box, moved by as much as is searched, and some border."""
    return box_around(polygon, processing.margin_px + processing.max_shift_px + _BORDER_PX)
