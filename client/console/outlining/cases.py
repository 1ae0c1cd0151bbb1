"""The lesions of the table as the person who outlines needs them, also of rows that cannot be used yet."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError, Fault
from client.data.forms.site_config import SiteConfig
from client.data.outlines.outline import PANES
from client.data.table.cells import YES_NO, RowCells
from client.data.table.manifest import read_manifest
from client.data.table.rows import ClipSpec, Files, OutlineSpec
from client.data.table.table import read_table

_NOT_DRAWN = "missing-outline"


@dataclass(frozen=True, slots=True)
class Case:
    """One lesion of the table whose clips can be named. Holds the hospital's own id: it stays in this console.

    Attributes:
        line: Line of the table; the header is line 1.
        clips, frame_rate_hz, manufacturer, timed, reinjection_s: As in Row.
        outline: The table's outline, None where its file is not there.
        cell: What stands in the table's cell of the outline.
        frame_cell: What stands in the cell of the outlined frame.
        pane: The pane that the table says was drawn on, one of PANES.
        track_checked: Whether a person has confirmed the track.
        faults: What the table's row has against its use, but a missing outline.
    """

    line: int
    lesion_id: str = field(repr=False)
    clips: tuple[ClipSpec, ...]
    frame_rate_hz: float | None
    manufacturer: str
    timed: bool
    reinjection_s: float | None
    outline: OutlineSpec | None
    cell: str
    frame_cell: str
    pane: str
    track_checked: bool
    faults: tuple[Fault, ...]

    @property
    def first_clip(self) -> Path:
        """The clip that is outlined."""
        return self.clips[0].path

    def files(self) -> Files:
        """What its row names, to be checked."""
        return Files(self.line, self.clips, self.frame_rate_hz, self.outline, self.manufacturer)

    def without_cells(self) -> Case:
        """What its pictures depend on: lesions in the same clips are equal in it."""
        return replace(
            self, line=0, lesion_id="", outline=None, cell="", frame_cell="", pane="", track_checked=False, faults=()
        )


def list_cases(site: SiteConfig) -> tuple[Case, ...]:
    """Every lesion of the table but those of patients who withdrew, in the table's order.

    A row that names no clip, or no lesion, has no case: `list_other_faults` has its faults.
    """
    manifest = read_manifest(site)
    files = {row.line: row for row in (*manifest.others, *(row.files() for row in manifest.rows))}
    names = {entry.line: entry.lesion_id for entry in manifest.entries}
    faults = _group_faults(manifest.faults)
    cells = {row.line: row for row in read_table(site.table, site.lesions_format, site.labels).rows()}
    return tuple(
        _make_case(files[line], name, cells[line], faults[line])
        for line, name in sorted(names.items())
        if line in files and name and files[line].clips
    )


def list_other_faults(site: SiteConfig, cases: Iterable[Case]) -> tuple[Fault, ...]:
    """The faults of the table that none of its cases has: of its header, and of rows without a clip or an id."""
    known = {case.line for case in cases}
    return tuple(fault for fault in read_manifest(site).faults if fault.row not in known)


def find_case(site: SiteConfig, line: int) -> Case:
    """The lesion of one line. Raises ExpectedError where the table has none there, or its clips cannot be named."""
    for case in list_cases(site):
        if case.line == line:
            return case
    raise ExpectedError(
        f"expected a lesion with clips in row {line} of the table, found none; load the worklist again, "
        "and mend the row's cells clips and clip_start_s"
    )


def _group_faults(found: tuple[Fault, ...]) -> Mapping[int, list[Fault]]:
    grouped: dict[int, list[Fault]] = defaultdict(list)
    for fault in found:
        if fault.row is not None:
            grouped[fault.row].append(fault)
    return grouped


def _make_case(row: Files, lesion_id: str, cells: RowCells, faults: list[Fault]) -> Case:
    reinjection = RowCells(cells.file, cells.line, cells.cells).parse_number("reinjection_s")
    pane = cells.text("outline_pane")
    return Case(
        line=row.line,
        lesion_id=lesion_id,
        clips=row.clips,
        frame_rate_hz=row.frame_rate_hz,
        manufacturer=row.manufacturer,
        timed=not cells.is_blank("clip_start_s"),
        reinjection_s=None if math.isnan(reinjection) else reinjection,
        outline=row.outline,
        cell="" if cells.is_blank("outline") else cells.text("outline"),
        frame_cell="" if cells.is_blank("outline_frame") else cells.text("outline_frame"),
        pane=pane if pane in PANES else "screen",
        track_checked=YES_NO.get(cells.text("track_checked").casefold(), 0.0) == 1.0,
        faults=tuple(fault for fault in faults if fault.reason != _NOT_DRAWN),
    )
