"""`lesions.csv`, the hospital's table with one row a lesion: rows that can be used, and every fault of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ceus_models.runtime.errors import Fault
from client.data.forms.site_config import SiteConfig
from client.data.table.leakage import Entry, leaks, shared_content
from client.data.table.row_reader import RowReader
from client.data.table.rows import Files, Row
from client.data.table.site_files import SiteFiles
from client.data.table.suggestions import Suggestion
from client.data.table.table import LESION_FORM, UNSEEN_FORM, read_table


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole table.

    Attributes:
        rows: The usable rows.
        others: The files of the other rows.
        faults: In the order of the file.
        entries: What the checks across rows need, of every record.
        suggestions: Corrected cells.
    """

    file: str
    rows: tuple[Row, ...]
    others: tuple[Files, ...]
    faults: tuple[Fault, ...]
    entries: tuple[Entry, ...]
    suggestions: tuple[Suggestion, ...]

    def without_copies(self) -> Manifest:
        """Rows whose clips are copies of another patient's are no longer usable: for that the clips are opened."""
        copies = shared_content(self.entries, self.file)
        blamed = {fault.row for fault in copies}
        return replace(
            self,
            rows=tuple(row for row in self.rows if row.line not in blamed),
            others=(*self.others, *(row.files() for row in self.rows if row.line in blamed)),
            faults=_in_order([*self.faults, *copies]),
        )


def read_manifest(site: SiteConfig, unseen: bool = False) -> Manifest:
    """Reads the table that site.yaml names. unseen: of lesions to ask a model about, which are in no study.

    A row with a fault of its own, or one that a leak across rows concerns, is not among the usable ones. A header
    without a known unit costs its column only, which then counts as not recorded.
    """
    table = read_table(site.table, site.encoding, site.labels, UNSEEN_FORM if unseen else LESION_FORM)
    reader = RowReader(SiteFiles(site.folder), table.factors, site.center, site.dates, unseen)
    readings = [reader.read(row) for row in table.rows()]
    entries = tuple(reading.entry for reading in readings)
    across = leaks(entries, table.name)
    blamed = {fault.row for fault in across}
    sound = [reading.row for reading in readings if reading.row and reading.entry.line not in blamed]
    lines = {row.line for row in sound}
    return Manifest(
        file=table.name,
        rows=tuple(sound),
        others=tuple(reading.files for reading in readings if reading.files and reading.files.line not in lines),
        faults=_in_order([*table.faults, *across, *(fault for one in readings for fault in one.cells.faults)]),
        entries=entries,
        suggestions=(*table.suggestions, *(one for reading in readings for one in reading.cells.suggestions)),
    )


def _in_order(faults: list[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.row or 0))
