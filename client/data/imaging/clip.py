"""Read a file into a Clip: two panes of levels on one time axis, without any identity.

Every frame is cropped to its panes before the next one is read, so banners and burned-in names are never kept.
A new file format is a module with `open` (see `recording.Reader`) and a line in READERS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client.data.imaging import fan
from client.data.imaging.dicom import reader as dicom
from client.data.imaging.frame_store import FrameFile, Frames
from client.data.imaging.layout import LAYOUTS, Layout, find_layout
from client.data.imaging.recording import F64, Box, ClipError, Reader, Recording, Times
from client.data.imaging.screen import Screen
from client.data.imaging.tint import TINTS, Tint
from client.data.imaging.video import reader as video

__all__ = ["LAYOUTS", "READERS", "Clip", "ClipError", "ClipInfo", "open_clip", "probe_clip"]

READERS: Mapping[str, Reader] = {
    ".dcm": dicom,
    ".dicom": dicom,
    ".ima": dicom,
    "": dicom,
    ".avi": video,
    ".mp4": video,
    ".m4v": video,
    ".mov": video,
    ".wmv": video,
}
"""File suffix → reader. Files without a suffix are DICOM, as PACS exports name them."""


@dataclass(frozen=True, eq=False)
class Clip:
    """An anonymous clip: its panes on one time axis. Outside the fan, text, rulers and bars are at level 0.

    Attributes:
        contrast, bmode: Levels u8 (t h w) on disk, of equal size; bmode is None on contrast-only clips.
        seconds: f64 (t), seconds since injection, strictly rising.
        contrast_box, bmode_box: The panes on the screen of rows x columns.
        dynamic_range_db: Dynamic range of the display; None where no template states it.
        layout: One of LAYOUTS.
        layout_confidence: Confidence of the layout, 0-1 (1 unless detected).
        times_from: The DICOM tag of the times, "container", "manifest", or "one frame".
        detected: As from `Layout.as_screen`.
    """

    contrast: Frames
    bmode: Frames | None
    seconds: F64
    mm_per_pixel: float | None
    contrast_box: Box
    bmode_box: Box | None
    rows: int
    columns: int
    dynamic_range_db: float | None = None
    layout: str = "whole"
    layout_confidence: float = 1.0
    times_from: str = "manifest"
    detected: tuple[Screen, ...] = ()

    @property
    def offset(self) -> tuple[int, int]:
        """Origin (x, y) of the contrast pane on the screen."""
        return self.contrast_box[:2]

    @property
    def bmode_offset(self) -> tuple[int, int] | None:
        """Origin (x, y) of the B-mode pane on the screen."""
        return None if self.bmode_box is None else self.bmode_box[:2]


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What `probe_clip` finds without keeping a picture.

    Attributes:
        first_s, last_s: Times of the first and last frame, seconds after injection.
        detected: As in Clip.
    """

    frames: int
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None
    first_s: float
    last_s: float
    detected: tuple[Screen, ...] = ()


def open_clip(
    path: Path,
    start_s: float,
    frame_rate_hz: float | None,
    screens: Sequence[Screen],
    tints: Mapping[str, Tint] = TINTS,
    folder: Path | None = None,
) -> Clip:
    """Reads a whole clip.

    Args:
        start_s: Time of the first frame, seconds after injection.
        frame_rate_hz: Frame rate from the manifest; None uses the file's own times.
        screens: Device templates that may fit, the best first.
        tints: The colour maps by name.
        folder: Folder of the temporary pane files; None uses the system's folder.

    Raises:
        ClipError: The file cannot be read, or its panes or times are not known.
    """
    recording = _open_recording(path)
    layout = find_layout(recording, screens, tints)
    contrast, bmode = _load_panes(recording, layout, folder)
    times = _resolve_times(recording, len(contrast), frame_rate_hz)
    return Clip(
        contrast=contrast,
        bmode=bmode,
        seconds=start_s + times.seconds,
        mm_per_pixel=layout.mm_per_pixel,
        contrast_box=layout.contrast,
        bmode_box=layout.bmode,
        rows=recording.rows,
        columns=recording.columns,
        dynamic_range_db=layout.dynamic_range_db,
        layout=layout.origin,
        layout_confidence=layout.confidence,
        times_from=times.source,
        detected=layout.as_screen(recording),
    )


def _load_panes(recording: Recording, layout: Layout, folder: Path | None) -> tuple[Frames, Frames | None]:
    """The panes (t h w), with what lies beside the fan at level 0."""
    shown = [(box, tint) for box, tint in ((layout.contrast, layout.tint), (layout.bmode, TINTS["grey"])) if box]
    tapes = [FrameFile(box[3] - box[1], box[2] - box[0], folder) for box, _ in shown]
    for levels in recording.levels(shown):
        for tape, pane in zip(tapes, levels, strict=True):
            tape.add(pane)
    if tapes[0].frames == 0:
        raise ClipError("unreadable-clip", "a clip has frames", "none", "export the clip again and check that it plays")
    seen = fan.find_fan([tape.to_frames() for tape in tapes])
    if seen is not None:
        for tape in tapes:
            tape.apply_mask(seen)
    return tapes[0].to_frames(), tapes[1].to_frames() if len(tapes) > 1 else None


def probe_clip(
    path: Path,
    start_s: float,
    frame_rate_hz: float | None,
    screens: Sequence[Screen],
    tints: Mapping[str, Tint] = TINTS,
) -> ClipInfo:
    """Size, panes and time span of a clip; parameters and errors as in `open_clip`."""
    recording = _open_recording(path)
    layout = find_layout(recording, screens, tints)
    frames = recording.length()
    seconds = start_s + _resolve_times(recording, frames, frame_rate_hz).seconds
    first, last = float(seconds[0]), float(seconds[-1])
    found = layout.as_screen(recording)
    return ClipInfo(frames, recording.rows, recording.columns, layout.contrast, layout.bmode, first, last, found)


def _open_recording(path: Path) -> Recording:
    suited = READERS.get(path.suffix.lower())
    if suited is None:
        raise ClipError(
            "unknown-clip-format",
            f"a clip's file is one of {', '.join(sorted(s for s in READERS if s))}, or DICOM without a suffix",
            "another suffix",
            "export the clip as multi-frame DICOM, AVI or MP4",
        )
    if path.is_file() and path.stat().st_size == 0:
        raise ClipError("unreadable-clip", "a clip's file holds a clip", "an empty file", "copy or export it again")
    return suited.open(path)


def _resolve_times(recording: Recording, frames: int, frame_rate_hz: float | None) -> Times:
    return Times(np.zeros(1), "one frame") if frames == 1 else recording.times(frames, frame_rate_hz)
