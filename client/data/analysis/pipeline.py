"""One lesion from its files to its sample: read, track, curve, key frames, flow. The trace is for the eye."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from client.data.analysis.exam import Exam, check_size, crop_clip, join_clips
from client.data.analysis.exam_doubts import check_length, list_exam_doubts, require_checked
from client.data.analysis.optical_flow import compute_flow_maps
from client.data.analysis.trace import Trace, TracedExam, box_around, trace_exam
from client.data.analysis.track_quality import require_trusted
from client.data.forms.site_config import SiteConfig, make_pseudonym, select_screens
from client.data.imaging.clip import Clip, open_clip
from client.data.imaging.likeness import I8, compute_likeness
from client.data.imaging.recording import F64, Box, make_even_times
from client.data.imaging.tint import TINTS
from client.data.outlines.outline import View, place_in_pane, read_outline
from client.data.table.rows import ClipSpec, Row

__all__ = [
    "Course",
    "OpenedLesion",
    "Trace",
    "build_doubtful_sample",
    "build_sample",
    "make_view",
    "open_clips",
    "open_row",
    "place_exam",
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
        likeness: Digests of the clips' pictures i8 (n 2 h w).
    """

    clips: tuple[Clip, ...]
    polygon: F64
    frame: int
    likeness: tuple[I8, ...] = ()


class Course(Protocol):
    """What the table says of an examination's time; a Row has it."""

    @property
    def timed(self) -> bool:
        """Whether the clips' start times count from the injection."""
        ...

    @property
    def reinjection_s(self) -> float | None:
        """Time of a second injection, seconds after the first; None where there is none."""
        ...


def build_sample(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The sample of one row of the table, and how it came about.

    Raises ClipError, OutlineError, DoubtedClip where the clips must be looked at and were not, and UntrustedTrack where
    the track must.
    """
    clips = open_row(row, site)
    return sample_from_clips(trace_outline(clips, clips.polygon, row, processing), row, site, processing)


def sample_from_clips(found: TracedExam, row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The sample of what was found of a row. Raises DoubtedClip and UntrustedTrack as `build_sample`."""
    require_checked(found.doubts, () if row.track_checked else found.trust.doubts, row.clip_checked)
    require_trusted(found.trust, row.track_checked)
    return _make_sample(found, row, site, processing)


def build_doubtful_sample(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The very same, also where clips or track must be looked at, as the trace then says.

    Raises ClipError, OutlineError.
    """
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
    outline = read_outline(row.outline.path, row.outline.frame, row.outline.pane, site.outline_labels)
    clips: list[Clip] = []
    polygon = np.zeros((0, 2))
    for clip in open_clips(row.clips, row.frame_rate_hz, row.manufacturer, site):
        if not clips:
            polygon = place_in_pane(outline, make_view(clip))
        clips.append(_apply_checked_rate(clip, row))
    check_length(
        [len(clip.seconds) == 1 for clip in clips], [float(clip.seconds[-1] - clip.seconds[0]) for clip in clips]
    )
    likeness = tuple(compute_likeness(clip.contrast, clip.bmode) for clip in clips)
    return OpenedLesion(tuple(clips), polygon, outline.frame, likeness)


def _apply_checked_rate(clip: Clip, row: Row) -> Clip:
    """The clip with the rate of the table, where the file states another one and a person has looked at both."""
    disagree = any(doubt.reason == "times-disagree" for doubt in clip.doubts)
    if not (disagree and row.clip_checked and row.frame_rate_hz):
        return clip
    times = make_even_times(len(clip.seconds), row.frame_rate_hz, "manifest")
    return replace(clip, seconds=clip.seconds[0] + times.seconds, times_from=times.source)


def open_clips(
    specs: Sequence[ClipSpec], frame_rate_hz: float | None, manufacturer: str, site: SiteConfig
) -> Iterator[Clip]:
    """The clips of a lesion, one after the other. Raises ClipError."""
    screens, tints = select_screens(site, manufacturer), {**TINTS, **site.tints}
    size: tuple[int, ...] = ()
    for number, spec in enumerate(specs, start=1):
        clip = open_clip(spec.path, spec.start_s, frame_rate_hz, screens, tints, site.work)
        if number == 1:
            screens, size = (*screens, *clip.detected), clip.contrast.shape[1:]
        check_size(size, clip, number)
        yield clip


def trace_outline(found: OpenedLesion, polygon: F64, course: Course, processing: Processing) -> TracedExam:
    """What an outline finds in a lesion's clips.

    polygon f64 (n 2): `found.polygon`, or another outline on the same frame. Raises ClipError.
    """
    exam, placed = place_exam(found, polygon, course, processing)
    traced = trace_exam(exam, placed, processing, course.timed)
    doubts = tuple(
        dict.fromkeys([*(doubt for clip in found.clips for doubt in clip.doubts), *list_exam_doubts(exam, found.clips)])
    )
    marked = replace(
        traced.trace,
        clip_doubts=tuple(str(doubt) for doubt in doubts if doubt.withholds),
        shown=tuple(doubt for doubt in doubts if not doubt.withholds),
        likeness=found.likeness,
    )
    return replace(traced, doubts=doubts, trace=marked)


def place_exam(found: OpenedLesion, polygon: F64, course: Course, processing: Processing) -> tuple[Exam, F64]:
    """The exam that an outline is followed in, and the outline in its panes.

    Of several clips, only the part where the lesion can be is used. Raises ClipError.
    """
    first = found.clips[0]
    part = _choose_search_box(polygon, processing)
    clips = [crop_clip(clip, part) for clip in found.clips] if len(found.clips) > 1 else [first]
    return join_clips(clips, found.frame, course.reinjection_s), polygon - np.subtract(clips[0].offset, first.offset)


def make_view(clip: Clip) -> View:
    """A clip as an outline needs it."""
    return View(clip.rows, clip.columns, len(clip.seconds), clip.contrast_box, clip.bmode_box)


def _choose_search_box(polygon: F64, processing: Processing) -> Box:
    """Where in the pane the lesion can be: its box, moved by as much as is searched, and some border."""
    return box_around(polygon, processing.margin_px + processing.max_shift_px + _BORDER_PX)
