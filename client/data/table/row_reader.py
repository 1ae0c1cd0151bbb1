"""One record of `lesions.csv`, cell by cell: a row that can be used, or the faults that it has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ceus_models.study.cohorts import FIRST_DAY, LAST_DAY, assign_cohort
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, Variable
from client.data.forms.columns import EXAMPLE_ID
from client.data.imaging.manufacturers import normalize_manufacturer
from client.data.imaging.recording import RATE_BOUNDS_HZ
from client.data.outlines.outline import PANES
from client.data.table.cells import TESTED, YES_NO, RowCells
from client.data.table.leakage import Entry
from client.data.table.rows import ClipSpec, Files, OutlineSpec, Row
from client.data.table.site_files import SiteFiles
from client.data.table.subgroups import assign_groups
from client.data.table.units import convert_clinical

START_BOUNDS_S = (-600.0, 3600.0)
UNSEEN = "unseen"
"""In place of a cohort, of lesions that are in no study."""
_LARGEST_FRAME = 1e6
_OF_CLIPS = ("clips", "clip_start_s", "frame_rate_hz")
_OF_OUTLINE = ("outline", "outline_frame", "outline_pane")


@dataclass(frozen=True, slots=True)
class ParsedRow:
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

    def read(self, row: RowCells) -> ParsedRow:
        """Reads every cell; what is wrong with one is a fault of the row."""
        lesion = row.parse_identifier("lesion_id")
        patient = lesion if self.unseen else row.parse_identifier("patient_id")
        if EXAMPLE_ID in (lesion, patient):
            return _skip_example(row.file, row.line)
        day = LAST_DAY if self.unseen else row.parse_day("exam_date", self.dates)
        cohort = UNSEEN if self.unseen else _parse_cohort(self.center, row, day, patient)
        label = row.parse_choice("fll_type", LESION_TYPES, "unknown-type")
        manufacturer = normalize_manufacturer(row.text("manufacturer"))
        clips, timed = _parse_clips(self.files, row)
        rate = row.parse_number("frame_rate_hz", RATE_BOUNDS_HZ)
        outline = _parse_outline(self.files, row)
        biomarkers = tuple(row.parse_flag(name, TESTED) for name in BIOMARKERS)
        values = {variable.name: convert_clinical(variable, row, self.factors) for variable in CLINICAL}
        groups = assign_groups(values, manufacturer, row.parse_flag("pathology_confirmed", YES_NO))
        reinjection = row.parse_number("reinjection_s", (0, START_BOUNDS_S[1]))
        checked, looked_at = (row.parse_flag(f"{what}_checked", YES_NO) == 1.0 for what in ("track", "clip"))
        # lesions that are not learnt from may share clips and patients
        shared = (None, None, ()) if self.unseen else (patient, cohort, tuple(clip.path for clip in clips))
        entry = Entry(row.line, lesion, *shared, looked_at)
        followed_up = {0.0: False, 1.0: True}.get(row.parse_flag("followup_confirmed", YES_NO))
        drawn = None if row.has_fault(*_OF_OUTLINE) else outline
        shown = () if row.has_fault(*_OF_CLIPS) else clips
        found = Files(row.line, shown, _parse_known(rate), drawn, manufacturer, looked_at)
        if row.faults or lesion is None or patient is None or day is None or cohort is None or outline is None:
            return ParsedRow(entry, None, found, row)
        clean = Row(
            line=row.line,
            lesion_id=lesion,
            patient_id=patient,
            exam_date=day,
            cohort=cohort,
            label=label,
            clips=clips,
            frame_rate_hz=_parse_known(rate),
            outline=outline,
            manufacturer=manufacturer,
            biomarkers=biomarkers,
            clinical=tuple(_transform_value(variable, values[variable.name]) for variable in CLINICAL),
            groups=groups,
            timed=timed,
            reinjection_s=_parse_known(reinjection),
            track_checked=checked,
            clip_checked=looked_at,
            followed_up=followed_up,
        )
        return ParsedRow(entry, clean, found, row)


def _skip_example(file: str, line: int) -> ParsedRow:
    """The row that `ceus-site init` wrote, and nothing else of it."""
    cells = RowCells(file, line, {})
    rule, remedy = "the example is replaced by a hospital's own lesions", "write a lesion over it, or delete the row"
    cells.add_fault("lesion_id", "example-row", rule, "the example row", remedy)
    return ParsedRow(Entry(line, None, None, None, ()), None, None, cells)


def _parse_cohort(center: int, row: RowCells, day: date | None, patient: str | None) -> str | None:
    if day is None:
        return None
    if not FIRST_DAY <= day <= LAST_DAY:
        rule = f"exams of the study lie between {FIRST_DAY} and {LAST_DAY}"
        row.add_fault("exam_date", "date-outside-study", rule, f"year {day.year}", "correct the date or remove the row")
        return None
    return None if patient is None else assign_cohort(center, day, patient)


def _parse_clips(files: SiteFiles, row: RowCells) -> tuple[tuple[ClipSpec, ...], bool]:
    """The clips with their start times, none after any fault; whether the times count from the injection."""
    names, starts = row.split_parts("clips"), row.parse_numbers("clip_start_s")
    if not names:
        row.add_fault("clips", "missing-clip", "a lesion has at least one clip", "none", "write the clip's path")
    paths = [
        row.parse_path(files, "clips", name, "missing-clip", f"clip {number} of {len(names)}")
        for number, name in enumerate(names, start=1)
    ]
    timed = not row.is_blank("clip_start_s")
    if not timed and len(names) == 1:
        starts = (0.0,)
    if starts is None or not _check_starts(row, starts, len(names)):
        return (), timed
    return tuple(ClipSpec(path, start) for path, start in zip(paths, starts, strict=True) if path), timed


def _check_starts(row: RowCells, starts: Sequence[float], count: int) -> bool:
    low, high = START_BOUNDS_S
    if len(starts) != count:
        rule = f"one start time a clip, joined by semicolons: {count}"
        remedy = "write the seconds after injection at which each clip begins"
        row.add_fault("clip_start_s", "start-times", rule, str(len(starts)), remedy)
        return False
    if any(not low <= start <= high for start in starts) or list(starts) != sorted(set(starts)):
        rule = f"start times rise and lie between {low:g} and {high:g} s after injection"
        remedy = "list the clips in the order of the examination, times in seconds"
        row.add_fault("clip_start_s", "start-times", rule, ";".join(f"{start:.4g}" for start in starts), remedy)
        return False
    return True


def _parse_outline(files: SiteFiles, row: RowCells) -> OutlineSpec | None:
    pane = row.parse_choice("outline_pane", PANES, "bad-value") or "screen"
    frame = row.parse_number("outline_frame", (0, _LARGEST_FRAME))
    if frame % 1 > 0:
        rule = "outline_frame is a whole number that counts from 0"
        row.add_fault("outline_frame", "bad-number", rule, f"{frame:.3g}", "write the frame of the first clip")
    if row.is_blank("outline"):
        remedy = "outline the lesion on one arterial-phase frame and write the file's path"
        row.add_fault("outline", "missing-outline", "every lesion has one outline", "none", remedy)
        return None
    path = row.parse_path(files, "outline", row.text("outline"), "missing-outline", "the outline")
    return None if path is None else OutlineSpec(path, None if math.isnan(frame) else int(frame), pane)


def _parse_known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _transform_value(variable: Variable, value: float) -> float:
    return math.nan if math.isnan(value) else variable.apply_transform(value)
