"""`lesions.csv`, the hospital's table with one row a lesion: rows that can be used, and every fault of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ceus_models.runtime.errors import Fault
from client.data.forms.site_config import SiteConfig, make_pseudonym
from client.data.forms.withdrawals import read_withdrawals
from client.data.table.header import LESION_FORM, UNSEEN_FORM
from client.data.table.leakage import Entry, find_leaks, find_shared_content
from client.data.table.row_reader import RowReader
from client.data.table.rows import Files, Row
from client.data.table.site_files import SiteFiles
from client.data.table.suggestions import Suggestion
from client.data.table.table import read_table


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole table.

    Attributes:
        rows: The usable rows.
        others: The files of the other rows.
        faults: In the order of the file.
        entries: What the checks across rows need, of every record.
        suggestions: Corrected cells.
        withdrawn: Rows that could be used, of patients who withdrew.
        header_row: Row of the header; faults at or above it are no lesion's.
    """

    file: str
    rows: tuple[Row, ...]
    others: tuple[Files, ...]
    faults: tuple[Fault, ...]
    entries: tuple[Entry, ...]
    suggestions: tuple[Suggestion, ...]
    withdrawn: int = 0
    header_row: int = 1

    def without_copies(self) -> Manifest:
        """Rows whose clips are copies of another patient's are no longer usable: for that the clips are opened."""
        copies = find_shared_content(self.entries, self.file)
        blamed = {fault.row for fault in copies}
        return replace(
            self,
            rows=tuple(row for row in self.rows if row.line not in blamed),
            others=(*self.others, *(row.files() for row in self.rows if row.line in blamed)),
            faults=_sort_faults([*self.faults, *copies]),
        )


def read_manifest(site: SiteConfig, unseen: bool = False) -> Manifest:
    """Reads the table that site.yaml names. unseen: of lesions to ask a model about, which are in no study.

    A row with a fault of its own, one that a leak across rows concerns, or one of a patient who withdrew is not among
    the usable ones. A header without a known unit costs its column only, which then counts as not recorded.
    """
    table = read_table(site.table, site.lesions_format, site.labels, UNSEEN_FORM if unseen else LESION_FORM)
    reader = RowReader(SiteFiles(site.folder), table.factors, site.center, site.dates, unseen)
    readings = [reader.read(row) for row in table.rows()]
    entries = tuple(reading.entry for reading in readings)
    across = find_leaks(entries, table.name)
    blamed = {fault.row for fault in across}
    sound = [reading.row for reading in readings if reading.row and reading.entry.line not in blamed]
    proposed = (*table.suggestions, *(one for reading in readings for one in reading.cells.suggestions))
    lines = {row.line for row in sound}
    used = sound if unseen else select_willing(site, sound)
    return Manifest(
        file=table.name,
        rows=tuple(used),
        others=tuple(reading.files for reading in readings if reading.files and reading.files.line not in lines),
        faults=_sort_faults([*table.faults, *across, *(fault for one in readings for fault in one.cells.faults)]),
        entries=entries,
        suggestions=tuple(one for one in proposed if one.proposed != one.present),
        withdrawn=len(sound) - len(used),
        header_row=table.header_row,
    )


def select_willing(site: SiteConfig, rows: Sequence[Row]) -> list[Row]:
    """The rows of patients who did not withdraw. Raises ExpectedError where the list of those cannot be read."""
    gone = read_withdrawals(site.records)
    return [row for row in rows if not gone or make_pseudonym(site, "patient", row.patient_id) not in gone]


def _sort_faults(faults: list[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.row or 0))
