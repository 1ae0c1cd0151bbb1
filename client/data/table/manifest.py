"""`lesions.csv`, the hospital's table with one row a lesion: rows that can be used, and every fault of the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ceus_models.runtime.errors import Fault
from ceus_models.study.cohorts import FIRST_DAY, LAST_DAY, cohort_of
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, Variable
from client.data.forms.columns import EXAMPLE_ID
from client.data.forms.site_config import SiteConfig
from client.data.imaging.manufacturers import manufacturer_name
from client.data.outlines.outline import PANES
from client.data.table.cells import SEXES, TESTED, YES_NO, RowCells
from client.data.table.leakage import Entry, leaks, shared_content
from client.data.table.rows import ClipSpec, Files, OutlineSpec, Row
from client.data.table.site_files import SiteFiles
from client.data.table.subgroups import groups_of
from client.data.table.suggestions import Suggestion
from client.data.table.table import LESION_FORM, UNSEEN_FORM, Table, read_table
from client.data.table.units import meant_unit

START_BOUNDS_S = (-600.0, 3600.0)
RATE_BOUNDS_HZ = (0.05, 500.0)
UNSEEN = "unseen"
"""In place of a cohort, of lesions that are in no study."""
_LARGEST_FRAME = 1e6
_OF_CLIPS = ("clips", "clip_start_s", "frame_rate_hz")
_OF_OUTLINE = ("outline", "outline_frame", "outline_pane")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole table. rows: the usable ones · others: files of the rest · faults: in the order of the file ·
    entries: what the checks across rows need, of every record · suggestions: corrected cells.
    """

    rows: tuple[Row, ...]
    others: tuple[Files, ...]
    faults: tuple[Fault, ...]
    entries: tuple[Entry, ...]
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One record as read: what the checks across rows need, and the row where nothing is wrong with it."""

    entry: Entry
    row: Row | None
    files: Files | None
    cells: RowCells


def read_manifest(site: SiteConfig) -> tuple[list[Row], list[Fault]]:
    """The usable rows and all faults of `open_manifest`."""
    manifest = open_manifest(site)
    return list(manifest.rows), list(manifest.faults)


def read_sound(site: SiteConfig) -> tuple[list[Row], list[Fault]]:
    """As `read_manifest`, without rows whose clips are copies of another patient's: for that the clips are opened."""
    manifest = open_manifest(site)
    copies = shared_content(manifest.entries, site.table.name)
    blamed = {fault.row for fault in copies}
    rows = [row for row in manifest.rows if row.line not in blamed]
    return rows, sorted([*manifest.faults, *copies], key=lambda fault: fault.row or 0)


def read_unseen(site: SiteConfig) -> tuple[list[Row], list[Fault]]:
    """As `read_manifest`, of lesions that are in no study: they need neither patient nor date, and have no cohort."""
    manifest = open_manifest(site, unseen=True)
    return list(manifest.rows), list(manifest.faults)


def open_manifest(site: SiteConfig, unseen: bool = False) -> Manifest:
    """Reads the table that site.yaml names. unseen: of lesions to ask a model about.

    A row with a fault of its own, or one that a leak across rows concerns, is not among the usable ones. A header
    without a known unit costs its column only, which then counts as not recorded.
    """
    table = read_table(site.table, site.encoding, site.labels, UNSEEN_FORM if unseen else LESION_FORM)
    files = SiteFiles(site.folder)
    readings = [_reading(site, files, table, record, unseen) for record in table.records]
    entries = tuple(reading.entry for reading in readings)
    across = leaks(entries, table.name)
    blamed = {fault.row for fault in across}
    sound = [reading.row for reading in readings if reading.row and reading.entry.line not in blamed]
    lines = {row.line for row in sound}
    faults = [*table.faults, *across, *(fault for reading in readings for fault in reading.cells.faults)]
    return Manifest(
        rows=tuple(sound),
        others=tuple(reading.files for reading in readings if reading.files and reading.files.line not in lines),
        faults=tuple(sorted(faults, key=lambda fault: fault.row or 0)),
        entries=entries,
        suggestions=(*table.suggestions, *(one for reading in readings for one in reading.cells.suggestions)),
    )


def _reading(
    site: SiteConfig, files: SiteFiles, table: Table, record: tuple[int, Sequence[str]], unseen: bool
) -> Reading:
    line, texts = record
    row = RowCells(table.name, line, table.named(texts))
    lesion = row.identifier("lesion_id")
    patient = lesion if unseen else row.identifier("patient_id")
    if EXAMPLE_ID in (lesion, patient):
        return _example(table.name, line)
    if len(texts) > table.width:
        rule = f"a row has {table.width} cells like the header"
        row.blame("", "cell-count", rule, str(len(texts)), "put quotes around a cell that holds a comma")
    day = LAST_DAY if unseen else row.day("exam_date", site.dates)
    cohort = UNSEEN if unseen else _cohort(site.center, row, day, patient)
    label = row.choice("fll_type", LESION_TYPES, "unknown-type")
    manufacturer = manufacturer_name(row.text("manufacturer"))
    clips, timed = _clips(files, row)
    rate = row.number("frame_rate_hz", RATE_BOUNDS_HZ)
    outline = _outline(files, row)
    biomarkers = tuple(row.flag(name, TESTED) for name in BIOMARKERS)
    values = {variable.name: _clinical(variable, row, table) for variable in CLINICAL}
    groups = groups_of(values, manufacturer, row.flag("pathology_confirmed", YES_NO))
    reinjection = row.number("reinjection_s", (0, START_BOUNDS_S[1]))
    checked = row.flag("track_checked", YES_NO)
    # lesions that are not learnt from may share clips and patients
    shared = (None, None, ()) if unseen else (patient, cohort, tuple(clip.path for clip in clips))
    entry = Entry(line, lesion, *shared)
    drawn = None if row.blamed(*_OF_OUTLINE) else outline
    found = Files(line, () if row.blamed(*_OF_CLIPS) else clips, _known(rate), drawn, manufacturer)
    if row.faults or lesion is None or patient is None or day is None or cohort is None or outline is None:
        return Reading(entry, None, found, row)
    clean = Row(
        line=line,
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


def _clinical(variable: Variable, row: RowCells, table: Table) -> float:
    """The value in the taxonomy's own unit; NaN for a blank, a fault, or a column without a known unit."""
    if variable.kind == "binary":
        return row.flag(variable.name, SEXES if variable.name == "sex" else YES_NO)
    factor = table.factors.get(variable.name)
    if factor is None:
        return math.nan
    written = row.number(variable.name)
    value = written * factor
    if math.isnan(value) or variable.low <= value <= variable.high:
        return value
    meant = meant_unit(variable, written, factor)
    if meant:
        converted = f"{written * variable.accepted_units()[meant] / factor:.4g}"
        row.suggest(variable.name, converted, f"it looks like {meant}")
    looks = f"; it looks like {meant}" if meant else ""
    convert = f"convert it from {meant}" if meant else "correct the value"
    remedy = f"{convert}, or correct the unit in the header"
    rule = f"{variable.name} is between {variable.low:g} and {variable.high:g} {variable.unit}"
    row.blame(variable.name, "implausible-value", rule, f"{value:.3g} {variable.unit}{looks}", remedy)
    return math.nan


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _transformed(variable: Variable, value: float) -> float:
    return math.nan if math.isnan(value) else variable.transformed(value)
