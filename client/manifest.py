"""`lesions.csv`, the hospital's table with one row a lesion: rows that can be used, and every fault of the others."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ceus_models.cohorts import FIRST_DAY, LAST_DAY, cohort_of
from ceus_models.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, Variable
from client.cells import SEXES, TESTED, YES_NO, RowCells, hidden
from client.config import SiteConfig
from client.faults import Fault
from client.groups import groups_of
from client.manufacturers import manufacturer_name
from client.outline import PANES
from client.table import Table, read_table
from client.units import meant_unit

START_BOUNDS_S = (-600.0, 3600.0)
RATE_BOUNDS_HZ = (0.05, 500.0)
_LARGEST_FRAME = 1e6
TYPE_WORDS: Mapping[str, str] = {
    "hepatocellular carcinoma": "HCC",
    "metastasis": "HM",
    "CRLM": "HM",
    "CCA": "ICC",
    "cholangiocarcinoma": "ICC",
    "hemangioma": "HH",
    "haemangioma": "HH",
    "abscess": "HA",
    "FNH": "OT",
    "focal nodular hyperplasia": "OT",
    "HCA": "OT",
    "adenoma": "OT",
    "angiomyolipoma": "OT",
    "lymphoma": "OT",
    "sarcoma": "OT",
    "NET": "OT",
    "other": "OT",
}
"""What hospitals write instead of a lesion type, and the type to suggest. Never taken silently."""


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """path: of the clip's file · start_s: time of its first frame, seconds after injection."""

    path: Path
    start_s: float


@dataclass(frozen=True, slots=True)
class OutlineSpec:
    """path: of the outline's file · frame: 0-based in the first clip, None where the file says it · pane: one of
    outline.PANES.
    """

    path: Path
    frame: int | None
    pane: str


@dataclass(frozen=True, slots=True)
class Row:
    """One usable lesion of the table. Holds the hospital's own ids: it stays inside reading.

    line: in the table, the header is line 1 · frame_rate_hz: None = the file's own · manufacturer: normalised ·
    biomarkers (4): 0, 1 or NaN · clinical (17): transformed values in the order of taxonomy.CLINICAL, NaN = not
    recorded · groups: see client.groups.
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


@dataclass(frozen=True, slots=True)
class Reading:
    """One record as read: what the checks across rows need, and the row where nothing is wrong with it."""

    line: int
    lesion_id: str | None
    patient_id: str | None
    cohort: str | None
    row: Row | None
    faults: tuple[Fault, ...]


def read_manifest(site: SiteConfig) -> tuple[list[Row], list[Fault]]:
    """The usable rows and all faults, both in the order of the file.

    A row with a fault of its own, a lesion id that stands twice, or a patient in two cohorts is not returned. A
    header without a known unit costs its column only, which then counts as not recorded.
    """
    table = read_table(site.table)
    readings = [_reading(site, table, line, cells) for line, cells in table.records]
    across = [*_duplicates(readings, site.table.name), *_straddling(readings, site.table.name)]
    blamed = {fault.row for fault in across}
    rows = [reading.row for reading in readings if reading.row and reading.line not in blamed]
    faults = [*table.faults, *across, *(fault for reading in readings for fault in reading.faults)]
    return rows, sorted(faults, key=lambda fault: fault.row or 0)


def _reading(site: SiteConfig, table: Table, line: int, texts: Sequence[str]) -> Reading:
    row = RowCells(site.table.name, line, table.named(texts))
    if len(texts) > table.width:
        rule = f"a row has {table.width} cells like the header"
        row.blame("", "cell-count", rule, str(len(texts)), "put quotes around a cell that holds a comma")
    lesion, patient = row.identifier("lesion_id"), row.identifier("patient_id")
    day = row.day("exam_date")
    cohort = _cohort(site.center, row, day, patient)
    label = row.choice("fll_type", LESION_TYPES, "unknown-type", TYPE_WORDS)
    manufacturer = manufacturer_name(row.cells.get("manufacturer", ""))
    clips = _clips(site.folder, row)
    rate = row.number("frame_rate_hz", RATE_BOUNDS_HZ)
    outline = _outline(site.folder, row)
    biomarkers = tuple(row.flag(name, TESTED) for name in BIOMARKERS)
    values = {variable.name: _clinical(variable, row, table) for variable in CLINICAL}
    groups = groups_of(values, manufacturer, row.flag("pathology_confirmed", YES_NO))
    faults = tuple(row.faults)
    if faults or lesion is None or patient is None or day is None or cohort is None or outline is None:
        return Reading(line, lesion, patient, cohort, None, faults)
    clean = Row(
        line=line,
        lesion_id=lesion,
        patient_id=patient,
        exam_date=day,
        cohort=cohort,
        label=label,
        clips=clips,
        frame_rate_hz=None if math.isnan(rate) else rate,
        outline=outline,
        manufacturer=manufacturer,
        biomarkers=biomarkers,
        clinical=tuple(_transformed(variable, values[variable.name]) for variable in CLINICAL),
        groups=groups,
    )
    return Reading(line, lesion, patient, cohort, clean, faults)


def _cohort(center: int, row: RowCells, day: date | None, patient: str | None) -> str | None:
    if day is None:
        return None
    if not FIRST_DAY <= day <= LAST_DAY:
        rule = f"exams of the study lie between {FIRST_DAY} and {LAST_DAY}"
        row.blame("exam_date", "date-outside-study", rule, f"year {day.year}", "correct the date or remove the row")
        return None
    return None if patient is None else cohort_of(center, day, patient)


def _clips(folder: Path, row: RowCells) -> tuple[ClipSpec, ...]:
    """The clips with their start times; empty after any fault."""
    names, starts = row.parts("clips"), row.numbers("clip_start_s")
    if not names:
        row.blame("clips", "missing-clip", "a lesion has at least one clip", "none", "write the clip's path")
    paths = [
        row.file_below(folder, "clips", name, "missing-clip", f"clip {number} of {len(names)}")
        for number, name in enumerate(names, start=1)
    ]
    if starts is None:
        return ()
    if len(starts) != len(names):
        rule = f"one start time a clip, joined by semicolons: {len(names)}"
        remedy = "write the seconds after injection at which each clip begins"
        row.blame("clip_start_s", "start-times", rule, str(len(starts)), remedy)
        return ()
    low, high = START_BOUNDS_S
    if any(not low <= start <= high for start in starts) or list(starts) != sorted(set(starts)):
        rule = f"start times rise and lie between {low:g} and {high:g} s after injection"
        remedy = "list the clips in the order of the examination, times in seconds"
        row.blame("clip_start_s", "start-times", rule, ";".join(f"{start:.4g}" for start in starts), remedy)
        return ()
    return tuple(ClipSpec(path, start) for path, start in zip(paths, starts, strict=True) if path)


def _outline(folder: Path, row: RowCells) -> OutlineSpec | None:
    pane = row.choice("outline_pane", PANES, "bad-value") or "screen"
    frame = row.number("outline_frame", (0, _LARGEST_FRAME))
    if frame % 1 > 0:
        rule = "outline_frame is a whole number that counts from 0"
        row.blame("outline_frame", "bad-number", rule, f"{frame:.3g}", "write the frame of the first clip")
    if row.blank("outline"):
        remedy = "outline the lesion on one arterial-phase frame and write the file's path"
        row.blame("outline", "missing-outline", "every lesion has one outline", "none", remedy)
        return None
    path = row.file_below(folder, "outline", row.cells["outline"], "missing-outline", "the outline")
    return None if path is None else OutlineSpec(path, None if math.isnan(frame) else int(frame), pane)


def _clinical(variable: Variable, row: RowCells, table: Table) -> float:
    """The value in the taxonomy's own unit; NaN for a blank, a fault, or a column without a known unit."""
    if variable.kind == "binary":
        return row.flag(variable.name, SEXES if variable.name == "sex" else YES_NO)
    factor = table.factors.get(variable.name)
    if factor is None:
        return math.nan
    value = row.number(variable.name) * factor
    if math.isnan(value) or variable.low <= value <= variable.high:
        return value
    meant = meant_unit(variable, value)
    looks = f"; it looks like {meant}" if meant else ""
    remedy = f"convert it from {meant}" if meant else "correct the value, or its unit in the header"
    rule = f"{variable.name} is between {variable.low:g} and {variable.high:g} {variable.unit}"
    row.blame(variable.name, "implausible-value", rule, f"{value:.3g} {variable.unit}{looks}", remedy)
    return math.nan


def _transformed(variable: Variable, value: float) -> float:
    return math.nan if math.isnan(value) else variable.transformed(value)


def _duplicates(readings: Iterable[Reading], file: str) -> list[Fault]:
    lines: dict[str, list[int]] = defaultdict(list)
    for reading in readings:
        if reading.lesion_id is not None:
            lines[reading.lesion_id].append(reading.line)
    rule, remedy = "a lesion_id stands in one row", "give each lesion its own id, or remove the repeated row"
    return [
        Fault(file, line, "lesion_id", "duplicate-id", rule, hidden(f"the same in rows {_listed(same)}"), remedy)
        for same in lines.values()
        if len(same) > 1
        for line in same
    ]


def _straddling(readings: Sequence[Reading], file: str) -> list[Fault]:
    """A patient whose lesions fall in two cohorts would be learnt from and tested on."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for reading in readings:
        if reading.patient_id is not None and reading.cohort is not None:
            found[reading.patient_id][reading.line] = reading.cohort
    rule, remedy = "a patient's exams fall in one cohort", "keep the rows of one of the two periods only"
    return [
        Fault(
            file,
            line,
            "patient_id",
            "patient-in-two-cohorts",
            rule,
            f"{' and '.join(sorted(set(cohorts.values())))} in rows {_listed(cohorts)}",
            remedy,
        )
        for cohorts in found.values()
        if len(set(cohorts.values())) > 1
        for line in cohorts
    ]


def _listed(lines: Iterable[int]) -> str:
    return ", ".join(map(str, lines))
