"""Read a file into a Clip: two panes of levels on one time axis, without any identity.

Every frame is cropped to its panes before the next one is read, so banners and burned-in names are never kept.
A new file format is a module with `open` (see `recording.Reader`) and a line in READERS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from client.data.imaging import clip_doubts, fan
from client.data.imaging.dicom import directory
from client.data.imaging.dicom import reader as dicom
from client.data.imaging.frame_store import FrameFile, Frames
from client.data.imaging.layout import LAYOUTS, Layout, find_layout
from client.data.imaging.likeness import I8, compute_likeness
from client.data.imaging.pane_levels import Pane, crop_pane
from client.data.imaging.recording import (
    F64,
    U8,
    Box,
    ClipError,
    Glances,
    Reader,
    Recording,
    Times,
    check_plausible_times,
    spread_indices,
)
from client.data.imaging.screen import Screen
from client.data.imaging.tint import TINTS, Tint, recover_levels
from client.data.imaging.video import reader as video
from client.faults.fault import Doubt

__all__ = ["LAYOUTS", "READERS", "Clip", "ClipError", "ClipInfo", "open_clip", "open_recording", "probe_clip"]

READERS: Mapping[str, Reader] = {
    ".dcm": dicom,
    ".dicom": dicom,
    ".ima": dicom,
    ".gz": dicom,
    "": dicom,
    ".avi": video,
    ".mp4": video,
    ".m4v": video,
    ".mov": video,
    ".wmv": video,
}
"""File suffix → reader. Files without a suffix are DICOM, as PACS exports name them; packed ones (.dcm.gz) are, too."""
_GLANCES, _FIRST = 24, 3
"""Pictures that `probe_clip` looks at: spread over a clip, and from its beginning on."""


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
        doubts: Why it may not be what it is taken for.
        tint: The colour map that the contrast pane was shown with.
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
    doubts: tuple[Doubt, ...] = ()
    tint: Tint = TINTS["grey"]

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
        still: Whether all pictures that were looked at are one.
        levels: Mean level of the contrast pane at its beginning, and at its brightest.
        likeness: See `likeness`, of the pictures that were looked at.
        detected, doubts: As in Clip.
    """

    frames: int
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None
    first_s: float
    last_s: float
    still: bool
    levels: tuple[float, float]
    likeness: I8
    detected: tuple[Screen, ...] = ()
    doubts: tuple[Doubt, ...] = ()


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
    recording = open_recording(path)
    layout = find_layout(recording, screens, tints)
    contrast, bmode, glances = _load_panes(recording, layout, folder)
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
        doubts=tuple(clip_doubts.list_clip_doubts(layout, times, glances)),
        tint=layout.tint,
    )


def _list_panes(layout: Layout) -> list[Pane]:
    return [(box, tint) for box, tint in ((layout.contrast, layout.tint), (layout.bmode, TINTS["grey"])) if box]


def _load_panes(
    recording: Recording, layout: Layout, folder: Path | None
) -> tuple[Frames, Frames | None, Sequence[U8]]:
    """The panes (t h w), with what lies beside the fan at level 0; pictures (h w 3) of the contrast pane as shown."""
    shown = _list_panes(layout)
    tapes = [FrameFile(box[3] - box[1], box[2] - box[0], folder) for box, _ in shown]
    glances = Glances(layout.contrast, frozenset(spread_indices(recording.stated, _GLANCES)))
    for levels in recording.levels(shown, glances):
        for tape, pane in zip(tapes, levels, strict=True):
            tape.add(pane)
    if tapes[0].frames == 0:
        raise ClipError("unreadable-clip", "a clip has frames", "none", "export the clip again and check that it plays")
    seen = fan.find_fan([tape.to_frames() for tape in tapes])
    if seen is not None:
        for tape in tapes:
            tape.apply_mask(seen)
    if tapes[0].frames != recording.stated:  # they were not spread over the clip
        glances = _glance(recording, layout.contrast)
    return tapes[0].to_frames(), tapes[1].to_frames() if len(tapes) > 1 else None, glances.pictures


def _glance(recording: Recording, box: Box) -> Glances:
    return Glances(box, pictures=[crop_pane(picture, box) for picture in recording.sample_pictures(_GLANCES)])


def probe_clip(
    path: Path,
    start_s: float,
    frame_rate_hz: float | None,
    screens: Sequence[Screen],
    tints: Mapping[str, Tint] = TINTS,
) -> ClipInfo:
    """Size, panes and time span of a clip; parameters and errors as in `open_clip`."""
    recording = open_recording(path)
    layout = find_layout(recording, screens, tints)
    frames = recording.length()
    times = _resolve_times(recording, frames, frame_rate_hz)
    first, last = (start_s + float(times.seconds[place]) for place in (0, -1))
    pictures = recording.sample_pictures(_GLANCES)
    panes = [
        [recover_levels(crop_pane(picture, box), tint) for picture in pictures] for box, tint in _list_panes(layout)
    ]
    box, tint = layout.contrast, layout.tint
    begun = [recover_levels(crop_pane(picture, box), tint).mean() for picture in islice(recording.pictures(), _FIRST)]
    glances = [crop_pane(picture, box) for picture in pictures]
    return ClipInfo(
        frames=frames,
        rows=recording.rows,
        columns=recording.columns,
        contrast=layout.contrast,
        bmode=layout.bmode,
        first_s=first,
        last_s=last,
        still=frames == 1 or all(clip_doubts.is_still(pane) for pane in panes),
        levels=(float(min(begun)), max(float(picture.mean()) for picture in panes[0])),
        likeness=compute_likeness(panes[0], panes[1] if len(panes) > 1 else None),
        detected=layout.as_screen(recording),
        doubts=tuple(clip_doubts.list_clip_doubts(layout, times, glances)),
    )


def locate_file(path: Path) -> Path:
    """The file that holds a clip: of a DICOMDIR the one that it lists. Raises ClipError."""
    return directory.find_clip(path) if path.name.upper() == "DICOMDIR" else path


def open_recording(path: Path) -> Recording:
    """Open a file with the reader of its suffix; its pictures are whole screens. Raises ClipError."""
    if clip_doubts.is_picture_file(path.suffix.lower()):
        raise clip_doubts.still_error("a picture file")
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
    if frames == 1:
        return Times(np.zeros(1), "one frame")
    return check_plausible_times(recording.times(frames, frame_rate_hz))
