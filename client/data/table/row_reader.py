"""One record of `lesions.csv`, cell by cell: a row that can be used, or the faults that it has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ceus_models.study.cohorts import FIRST_DAY, LAST_DAY, cohort_of
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, Variable
from client.data.forms.columns import EXAMPLE_ID
from client.data.imaging.manufacturers import manufacturer_name
from client.data.outlines.outline import PANES
from client.data.table.cells import TESTED, YES_NO, RowCells
from client.data.table.leakage import Entry
from client.data.table.rows import ClipSpec, Files, OutlineSpec, Row
from client.data.table.site_files import SiteFiles
from client.data.table.subgroups import groups_of
from client.data.table.units import clinical_value

START_BOUNDS_S = (-600.0, 3600.0)
RATE_BOUNDS_HZ = (0.05, 500.0)
UNSEEN = "unseen"
"""In place of a cohort, of lesions that are in no study."""
_LARGEST_FRAME = 1e6
_OF_CLIPS = ("clips", "clip_start_s", "frame_rate_hz")
_OF_OUTLINE = ("outline", "outline_frame", "outline_pane")


@dataclass(frozen=True, slots=True)
class Reading:
    """One record as read: what the checks across rows need, and the row where nothing is wrong with it."""

    entry: Entry
    row: Row | None
    files: Files | None
    cells: RowCells


@dataclass(frozen=True)
class RowReader:
    """What all rows of a table are read with.

    Attributes:
        files: The files of the site's folder.
        factors: See `Table`.
        center, dates: Values of site.yaml.
        unseen: Whether the lesions are in no study, and so need neither patient nor date.
    """

    files: SiteFiles
    factors: Mapping[str, float]
    center: int
    dates: str | None
    unseen: bool

    def read(self, row: RowCells) -> Reading:
        """Reads every cell; what is wrong with one is a fault of the row."""
        lesion = row.identifier("lesion_id")
        patient = lesion if self.unseen else row.identifier("patient_id")
        if EXAMPLE_ID in (lesion, patient):
            return _example(row.file, row.line)
        day = LAST_DAY if self.unseen else row.day("exam_date", self.dates)
        cohort = UNSEEN if self.unseen else _cohort(self.center, row, day, patient)
        label = row.choice("fll_type", LESION_TYPES, "unknown-type")
        manufacturer = manufacturer_name(row.text("manufacturer"))
        clips, timed = _clips(self.files, row)
        rate = row.number("frame_rate_hz", RATE_BOUNDS_HZ)
        outline = _outline(self.files, row)
        biomarkers = tuple(row.flag(name, TESTED) for name in BIOMARKERS)
        values = {variable.name: clinical_value(variable, row, self.factors) for variable in CLINICAL}
        groups = groups_of(values, manufacturer, row.flag("pathology_confirmed", YES_NO))
        reinjection = row.number("reinjection_s", (0, START_BOUNDS_S[1]))
        checked = row.flag("track_checked", YES_NO)
        # lesions that are not learnt from may share clips and patients
        shared = (None, None, ()) if self.unseen else (patient, cohort, tuple(clip.path for clip in clips))
        entry = Entry(row.line, lesion, *shared)
        drawn = None if row.blamed(*_OF_OUTLINE) else outline
        found = Files(row.line, () if row.blamed(*_OF_CLIPS) else clips, _known(rate), drawn, manufacturer)
        if row.faults or lesion is None or patient is None or day is None or cohort is None or outline is None:
            return Reading(entry, None, found, row)
        clean = Row(
            line=row.line,
            lesion_id=lesion,
            patient_id=patient,
            exam_date=day,
            cohort=cohort,
            label=label,
            clips=clips,
            frame_rate_hz=_known(rate),
            outline=outline,
            manufacturer=manufacturer,
            biomarkers=biomarkers,
            clinical=tuple(_transformed(variable, values[variable.name]) for variable in CLINICAL),
            groups=groups,
            timed=timed,
            reinjection_s=_known(reinjection),
            track_checked=checked == 1.0,
        )
        return Reading(entry, clean, found, row)


def _example(file: str, line: int) -> Reading:
    """The row that `ceus-site init` wrote, and nothing else of it."""
    cells = RowCells(file, line, {})
    rule, remedy = "the example is replaced by a hospital's own lesions", "write a lesion over it, or delete the row"
    cells.blame("lesion_id", "example-row", rule, "the example row", remedy)
    return Reading(Entry(line, None, None, None, ()), None, None, cells)


def _cohort(center: int, row: RowCells, day: date | None, patient: str | None) -> str | None:
    if day is None:
        return None
    if not FIRST_DAY <= day <= LAST_DAY:
        rule = f"exams of the study lie between {FIRST_DAY} and {LAST_DAY}"
        row.blame("exam_date", "date-outside-study", rule, f"year {day.year}", "correct the date or remove the row")
        return None
    return None if patient is None else cohort_of(center, day, patient)


def _clips(files: SiteFiles, row: RowCells) -> tuple[tuple[ClipSpec, ...], bool]:
    """The clips with their start times, none after any fault; whether the times count from the injection."""
    names, starts = row.parts("clips"), row.numbers("clip_start_s")
    if not names:
        row.blame("clips", "missing-clip", "a lesion has at least one clip", "none", "write the clip's path")
    paths = [
        row.file_below(files, "clips", name, "missing-clip", f"clip {number} of {len(names)}")
        for number, name in enumerate(names, start=1)
    ]
    timed = not row.blank("clip_start_s")
    if not timed and len(names) == 1:
        starts = (0.0,)
    if starts is None or not _starts_hold(row, starts, len(names)):
        return (), timed
    return tuple(ClipSpec(path, start) for path, start in zip(paths, starts, strict=True) if path), timed


def _starts_hold(row: RowCells, starts: Sequence[float], count: int) -> bool:
    low, high = START_BOUNDS_S
    if len(starts) != count:
        rule = f"one start time a clip, joined by semicolons: {count}"
        remedy = "write the seconds after injection at which each clip begins"
        row.blame("clip_start_s", "start-times", rule, str(len(starts)), remedy)
        return False
    if any(not low <= start <= high for start in starts) or list(starts) != sorted(set(starts)):
        rule = f"start times rise and lie between {low:g} and {high:g} s after injection"
        remedy = "list the clips in the order of the examination, times in seconds"
        row.blame("clip_start_s", "start-times", rule, ";".join(f"{start:.4g}" for start in starts), remedy)
        return False
    return True


def _outline(files: SiteFiles, row: RowCells) -> OutlineSpec | None:
    pane = row.choice("outline_pane", PANES, "bad-value") or "screen"
    frame = row.number("outline_frame", (0, _LARGEST_FRAME))
    if frame % 1 > 0:
        rule = "outline_frame is a whole number that counts from 0"
        row.blame("outline_frame", "bad-number", rule, f"{frame:.3g}", "write the frame of the first clip")
    if row.blank("outline"):
        remedy = "outline the lesion on one arterial-phase frame and write the file's path"
        row.blame("outline", "missing-outline", "every lesion has one outline", "none", remedy)
        return None
    path = row.file_below(files, "outline", row.text("outline"), "missing-outline", "the outline")
    return None if path is None else OutlineSpec(path, None if math.isnan(frame) else int(frame), pane)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _transformed(variable: Variable, value: float) -> float:
    return math.nan if math.isnan(value) else variable.transformed(value)
