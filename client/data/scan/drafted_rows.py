"""The exams of the drafts of `scan` and `receive`, as long as no row of the hospital's table names their clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import SiteConfig, make_pseudonym
from client.data.forms.table_format import TableFormat
from client.data.forms.withdrawals import read_withdrawals
from client.data.scan.draft import DRAFT_FILE
from client.data.scan.table_rows import append_rows
from client.data.table.header import LESION_FORM
from client.data.table.table import read_table

_CLIPS = "clips"
_FORM = replace(LESION_FORM, required=frozenset({_CLIPS}))
"""Whatever else a table lacks, it names clips."""


@dataclass(frozen=True, slots=True)
class DraftedRow:
    """One exam of a draft.

    Attributes:
        clips: Their places in the site's folder.
        cells: Column → text, those that are filled.
    """

    clips: tuple[str, ...]
    cells: Mapping[str, str] = field(repr=False)


def list_drafted_rows(site: SiteConfig) -> tuple[DraftedRow, ...]:
    """Exams whose clips are there and stand in no row of the table, but those of patients who withdrew.

    Raises ExpectedError where the list of those cannot be read.
    """
    named = {clip for row in _read_rows(site.table, site.lesions_format) for clip in row.clips}
    gone = read_withdrawals(site.records)
    stem, suffix = DRAFT_FILE.rsplit(".", 1)
    drafted = {
        row.clips: row
        for path in sorted(site.folder.glob(f"{stem}*.{suffix}"))
        for row in _read_rows(path, TableFormat())
        if row.clips
    }
    return tuple(
        row
        for _, row in sorted(drafted.items())
        if named.isdisjoint(row.clips)
        and all((site.folder / clip).is_file() for clip in row.clips)
        and make_pseudonym(site, "patient", row.cells.get("patient_id", "")) not in gone
    )


def add_drafted_row(site: SiteConfig, clips: str) -> None:
    """Add the exam with these clips (";" between them) as a row at the table's end.

    Raises ExpectedError where it is in the table already, or the table cannot be written.
    """
    for row in list_drafted_rows(site):
        if ";".join(row.clips) == clips:
            append_rows(site.table, site.lesions_format.encoding, [row.cells])
            return
    raise ExpectedError("expected an exam that the table lacks, found none with these clips; load the worklist again")


def _read_rows(path: Path, saved: TableFormat) -> list[DraftedRow]:
    """Nothing where it is not there, or is no table."""
    rows = [row.cells for row in read_table(path, saved, {}, _FORM).rows()] if path.is_file() else []
    return [
        DraftedRow(
            tuple(part.strip() for part in cells.get(_CLIPS, "").split(";") if part.strip()),
            {name: text for name, text in cells.items() if text},
        )
        for cells in rows
    ]
