"""What is seen and measured of a lesion's clips: pictures, the curve of a place, and what an outline finds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from client.console.outlining.cases import Case
from client.data.analysis import tic
from client.data.analysis.pipeline import OpenedLesion, make_view, open_clips, place_exam
from client.data.analysis.trace import trace_exam
from client.data.forms.site_config import SiteConfig
from client.data.imaging.clip import Clip
from client.data.imaging.frame_store import Frames, chain_frames
from client.data.imaging.recording import F64, U8
from client.data.outlines.outline import Outline, View

Index = npt.NDArray[np.int64]

JPEG_QUALITY = 90
_CIRCLE = 24
"""Corners of the region under the cursor."""


@dataclass(frozen=True)
class ClipFacts:
    """What a page must know of an opened lesion's clips.

    Attributes:
        seconds: Of each frame, since injection where `timed`, in the order in which frames are shown.
        first: The frame of the first clip that each shown one is, -1 where it is another clip's.
        rows, columns: Size of a pane, px.
        bmode: Whether there is a B-mode pane, of equal size.
        view: The first clip, as outlines are placed on it.
    """

    seconds: tuple[float, ...]
    first: tuple[int, ...]
    rows: int
    columns: int
    bmode: bool
    mm_per_pixel: float | None
    view: View
    timed: bool


@dataclass(frozen=True, eq=False)
class Playback:
    """The opened clips of a lesion as one sequence in the order of time. order: i64 (t), their places as read."""

    clips: tuple[Clip, ...]
    contrast: Frames
    bmode: Frames | None
    seconds: F64
    order: Index
    course: Case = field(repr=False)

    @staticmethod
    def open(case: Case, site: SiteConfig) -> Playback:
        """Decode all clips once. Raises ClipError."""
        clips = tuple(open_clips(case.clips, case.frame_rate_hz, case.manufacturer, site))
        seconds = np.concatenate([clip.seconds for clip in clips])
        order = np.argsort(seconds, kind="stable")
        with_bmode = [clip.bmode for clip in clips if clip.bmode is not None]
        bmode = chain_frames(with_bmode).select(order) if len(with_bmode) == len(clips) else None
        contrast = chain_frames(clip.contrast for clip in clips).select(order)
        return Playback(clips, contrast, bmode, seconds[order], order, case)

    def facts(self) -> ClipFacts:
        """What a page must know."""
        first, (rows, columns) = self.clips[0], self.contrast.shape[1:]
        return ClipFacts(
            seconds=tuple(self.seconds.tolist()),
            first=tuple(np.where(self.order < len(first.seconds), self.order, -1).tolist()),
            rows=rows,
            columns=columns,
            bmode=self.bmode is not None,
            mm_per_pixel=first.mm_per_pixel,
            view=make_view(first),
            timed=self.course.timed,
        )

    def draw_frame(self, number: int) -> bytes:
        """A shown frame as JPEG: the contrast pane, and beside it the B-mode pane. Raises IndexError."""
        if not 0 <= number < len(self.contrast):
            raise IndexError(number)
        panes = [self.contrast[number], *([self.bmode[number]] if self.bmode is not None else [])]
        return _encode(".jpg", np.hstack(panes), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])

    def draw_screen(self, frame: int) -> bytes:
        """A frame of the first clip as PNG of the screen's size, black but for its panes: no text, no name."""
        first = self.clips[0]
        screen = np.zeros((first.rows, first.columns), dtype=np.uint8)
        for pane, box in ((first.bmode, first.bmode_box), (first.contrast, first.contrast_box)):
            if pane is not None and box is not None:
                screen[box[1] : box[3], box[0] : box[2]] = pane[frame]
        return _encode(".png", screen, [])

    def place_on_screen(self, polygon: F64, frame: int, pane: str) -> Outline:
        """An outline of the panes (n 2) on the whole screen, on the pane that the table names."""
        first = self.clips[0]
        box = first.bmode_box if pane == "bmode" and first.bmode_box else first.contrast_box
        placed = polygon + np.array(box[:2], dtype=np.float64)
        return Outline(frame, placed, pane, (first.rows, first.columns))

    def measure_place(self, place: tuple[float, float], radius_px: float, processing: Processing) -> list[float | None]:
        """Smoothed mean intensity (t), a.u., of a circle that stays at its place in the pane, None outside of it."""
        angles = np.linspace(0.0, 2 * math.pi, _CIRCLE, endpoint=False)
        circle = np.array(place) + radius_px * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        rows, columns = self.contrast.shape[1:]
        low = np.clip(np.floor(circle.min(axis=0)).astype(int) - 2, 0, (columns - 1, rows - 1))
        high = np.clip(np.ceil(circle.max(axis=0)).astype(int) + 3, low + 1, (columns, rows))
        part = self.contrast.crop((int(low[0]), int(low[1]), int(high[0]), int(high[1])))
        table = self._build_table(processing)
        still = np.zeros((len(self.seconds), 2), dtype=np.float32)
        means = tic.compute_roi_means(part, circle - low, still, table)
        return _as_numbers(tic.smooth(means, self.seconds, processing.smoothing_s))

    def trace(self, polygon: F64, frame: int, course: Case, processing: Processing) -> dict[str, Any]:
        """What an outline on a frame of the first clip finds: box, track, curve, peak, key frames, doubts.

        Raises ClipError.
        """
        found = OpenedLesion(self.clips, polygon, frame)
        exam, placed = place_exam(found, polygon, course, processing)
        traced = trace_exam(exam, placed, processing, course.timed)
        moved = polygon[0] - placed[0]
        box = np.array(traced.trace.box, dtype=np.float64) + np.tile(moved, 2)
        shown = np.searchsorted(self.seconds, exam.seconds)
        return {
            "shown": shown.tolist(),
            "seconds": exam.seconds.tolist(),
            "box": box.tolist(),
            "shift": np.round(traced.trace.shift.astype(np.float64), 2).tolist(),
            "held": traced.trace.held.tolist(),
            "correlation": np.round(traced.trace.correlation, 3).tolist(),
            "tic": _as_numbers(traced.trace.tic),
            "smoothed": _as_numbers(traced.trace.smoothed),
            "peak": traced.trace.peak_index if traced.quality["enhances"] else None,
            "chosen": traced.trace.chosen.tolist(),
            "doubts": list(traced.trace.doubts),
            "notes": list(traced.trace.notes),
            "source": traced.trace.source,
            "parameters": {name: value for name, value in traced.trace.parameters.items() if math.isfinite(value)},
            "quality": {name: value for name, value in traced.quality.items() if math.isfinite(value)},
        }

    def _build_table(self, processing: Processing) -> F64:
        range_db = self.clips[0].dynamic_range_db or processing.dynamic_range_db
        return tic.build_linear_table(range_db, processing.linearise)


def _encode(kind: str, picture: U8, options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise ExpectedError("a frame cannot be written as a picture; report the finding")
    return bytes(data.data)


def _as_numbers(values: F64) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]
