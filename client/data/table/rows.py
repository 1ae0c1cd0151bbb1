"""A row of `lesions.csv` as the reading of its files needs it. It holds the hospital's ids and stays inside reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """One clip as the table names it.

    Attributes:
        path: Path of the clip's file.
        start_s: Time of its first frame, seconds after injection.
    """

    path: Path
    start_s: float


@dataclass(frozen=True, slots=True)
class OutlineSpec:
    """The outline as the table names it.

    Attributes:
        path: Path of the outline's file.
        frame: 0-based in the first clip, None where the file states it.
        pane: One of outline.PANES.
    """

    path: Path
    frame: int | None
    pane: str


@dataclass(frozen=True, slots=True)
class Files:
    """What a row with a fault names, to be looked at all the same. As in Row; clips: none where their own cells hold a
    fault, outline likewise.
    """

    line: int
    clips: tuple[ClipSpec, ...]
    frame_rate_hz: float | None
    outline: OutlineSpec | None
    manufacturer: str
    clip_checked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One usable lesion of the table. Holds the hospital's own ids: it stays inside reading.

    Attributes:
        line: Line in the table; the header is line 1.
        frame_rate_hz: Frame rate; None uses the file's own.
        manufacturer: Normalised name.
        biomarkers (4): 0, 1 or NaN.
        clinical: (variables), transformed values in the order of taxonomy.CLINICAL, NaN = not recorded.
        groups: See subgroups.
        timed: Whether the clips' start times count from the injection; False for a single clip whose start is not known
            and counts as 0.
        reinjection_s: Time of a second injection, seconds after the first; later frames are left out.
        track_checked: Whether a person has confirmed the track.
        clip_checked: Whether a person has looked at clips that were doubted, and wants them used.
        followed_up: Whether clinical follow-up confirmed the type; None where the table does not say.
    """

    line: int
    lesion_id: str
    patient_id: str
    exam_date: date
    cohort: str
    label: str | None
    clips: tuple[ClipSpec, ...]
    frame_rate_hz: float | None
    outline: OutlineSpec
    manufacturer: str
    biomarkers: tuple[float, ...]
    clinical: tuple[float, ...]
    groups: Mapping[str, str]
    timed: bool = True
    reinjection_s: float | None = None
    track_checked: bool = False
    clip_checked: bool = False
    followed_up: bool | None = None

    def files(self) -> Files:
        """What can be looked at where the row is not used."""
        return Files(self.line, self.clips, self.frame_rate_hz, self.outline, self.manufacturer, self.clip_checked)
