"""One lesion from its files to its sample: read, track, curve, key frames, flow. The trace is for the eye."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from client.data.analysis.exam import check_size, cut_to, joined
from client.data.analysis.optical_flow import flow_maps
from client.data.analysis.trace import Trace, Traced, box_around, traced
from client.data.analysis.track_quality import require
from client.data.forms.site_config import SiteConfig, pseudonym, screens_for
from client.data.imaging.clip import Clip, open_clip
from client.data.imaging.recording import F64, Box
from client.data.imaging.tint import TINTS
from client.data.outlines.outline import View, in_pane, read_outline
from client.data.table.rows import Row

__all__ = ["Opened", "Trace", "doubtful_sample_of", "examined", "followed", "opened", "sample_of", "sampled"]

_BORDER_PX = 16.0
"""Around the part of a pane in which the lesion is searched: no search ends on the rim of what was kept."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A lesion's clips, whole, and its outline.

    Attributes:
        polygon: f64 (n 2), outline in pane coordinates, px.
        frame: The outlined frame, 0-based in the first clip.
    """

    clips: tuple[Clip, ...]
    polygon: F64
    frame: int


def sample_of(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The sample of one row of the table, and how it came about.

    Raises ClipError, OutlineError, and UntrustedTrack where the track must be looked at and was not.
    """
    clips = opened(row, site)
    return sampled(followed(clips, clips.polygon, row, processing), row, site, processing)


def sampled(found: Traced, row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The sample of what was found of a row. Raises UntrustedTrack as `sample_of`."""
    require(found.trust, row.track_checked)
    return _as_sample(found, row, site, processing)


def doubtful_sample_of(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    """The very same, also where the track must be looked at, as the trace then says. Raises ClipError, OutlineError."""
    clips = opened(row, site)
    return _as_sample(followed(clips, clips.polygon, row, processing), row, site, processing)


def _as_sample(found: Traced, row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace]:
    flow, scale = flow_maps(found.frames, processing)
    trace = _with_flow(found.trace, flow, scale)
    top = float(trace.smoothed.max())
    sample = Sample(
        key=pseudonym(site, "lesion", row.lesion_id),
        patient=pseudonym(site, "patient", row.patient_id),
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


def examined(row: Row, site: SiteConfig, processing: Processing) -> Traced:
    """What was found of one row, trusted or not, for a quality sheet. Raises ClipError, OutlineError."""
    clips = opened(row, site)
    found = followed(clips, clips.polygon, row, processing)
    return replace(found, trace=_with_flow(found.trace, *flow_maps(found.frames, processing)))


def _with_flow(trace: Trace, flow: npt.NDArray[np.int8], scale: float) -> Trace:
    return replace(trace, flow=flow.astype(np.float32) * np.float32(scale))


def opened(row: Row, site: SiteConfig) -> Opened:
    """The clips of a row, one after the other. Raises ClipError, OutlineError."""
    screens, tints = screens_for(site, row.manufacturer), {**TINTS, **site.tints}
    outline = read_outline(row.outline.path, row.outline.frame, row.outline.pane)
    clips: list[Clip] = []
    polygon = np.zeros((0, 2))
    for number, spec in enumerate(row.clips, start=1):
        clip = open_clip(spec.path, spec.start_s, row.frame_rate_hz, screens, tints, site.work)
        if number == 1:
            polygon = in_pane(outline, _view(clip))
            screens = (*screens, *clip.detected)
        clips.append(clip)
        check_size(clips[0].contrast.shape[1:], clip, number)
    return Opened(tuple(clips), polygon, outline.frame)


def followed(found: Opened, polygon: F64, row: Row, processing: Processing) -> Traced:
    """What an outline finds in a lesion's clips; of several, only the part where the lesion can be is used.

    polygon f64 (n 2): `found.polygon`, or another outline on the same frame. Raises ClipError.
    """
    first = found.clips[0]
    part = _search_part(polygon, processing)
    clips = [cut_to(clip, part) for clip in found.clips] if len(found.clips) > 1 else [first]
    exam = joined(clips, found.frame, row.reinjection_s)
    return traced(exam, polygon - np.subtract(clips[0].offset, first.offset), processing, row.timed)


def _view(clip: Clip) -> View:
    return View(clip.rows, clip.columns, len(clip.seconds), clip.contrast_box, clip.bmode_box)


def _search_part(polygon: F64, processing: Processing) -> Box:
    """Where in the pane the lesion can be: its box, moved by as much as is searched, and some border."""
    return box_around(polygon, processing.margin_px + processing.max_shift_px + _BORDER_PX)
