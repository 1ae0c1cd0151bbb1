"""A reader study's log: what a radiologist says of a lesion before and after the model's answer, how sure and how soon.

It is a table in the form of `reads.csv`, so it holds the hospital's own lesion ids and stays there. Every decision is
on the disk before the next question, and what a reader has said already is not asked again.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import end_last_line
from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.errors import ExpectedError, FaultList
from client.data.forms.columns import READS
from client.data.forms.site_config import SiteConfig
from client.data.forms.table_format import TableFormat
from client.data.table.header import READ_FORM
from client.data.table.reads import read_reads
from client.data.table.spreadsheet.xlsx import SUFFIXES
from client.data.table.table import Table, read_table

Ask = Callable[[str], tuple[str, int] | None]
"""A question → one of the lesion types and of the confidences, None where the reader passes."""


@dataclass(frozen=True)
class Reader:
    """The person who reads the lesions.

    Attributes:
        name: Name or code, chosen by the hospital.
        role: One of reading_study.ROLES.
    """

    name: str
    role: str


@dataclass(frozen=True)
class AssistLog:
    """path: a CSV file, which need not exist."""

    path: Path
    site: SiteConfig
    reader: Reader
    clock: Callable[[], float] = time.monotonic

    def open(self) -> None:
        """Begins the file, or looks whether it can go on. Raises ExpectedError."""
        if self.path.suffix.lower() in SUFFIXES:
            raise ExpectedError(f"the log is a .csv file; found the workbook {self.path.name}; name a .csv file")
        if not self.path.exists():
            header = [column.header for column in READS]
            _append_line(self.path, header, "utf-8-sig")
        table = self._read_table()
        if table.faults:
            raise FaultList(tuple(table.faults))

    def find_answers(self, lesion: str) -> set[bool]:
        """How the reader has judged a lesion already: without the model (False), with it (True)."""
        found, _ = read_reads(dataclasses.replace(self.site, reads=self.path, reads_format=self._format()), [lesion])
        return {read.assisted for read in found if read.lesion_id == lesion and read.reader == self.reader.name}

    def record(self, lesion: str, assisted: bool, ask: Ask, question: str) -> bool:
        """Ask once, unless it was said already; False where the reader passes. Raises ExpectedError."""
        if assisted in self.find_answers(lesion):
            return True
        begun = self.clock()
        said = ask(question)
        if said is None:
            return False
        cells = {
            "lesion_id": lesion,
            "reader": self.reader.name,
            "role": self.reader.role,
            "assisted": "yes" if assisted else "no",
            "diagnosis": said[0],
            "seconds": f"{self.clock() - begun:.1f}",
            "confidence": str(said[1]),
        }
        table = self._read_table()
        by_place = {place: cells.get(name, "") for name, place in table.positions.items()}
        _append_line(self.path, [by_place.get(place, "") for place in range(table.width)], self._find_encoding())
        return True

    def _read_table(self) -> Table:
        return read_table(self.path, self._format(), self.site.labels, READ_FORM)

    def _format(self) -> TableFormat:
        """As the site's own `reads.csv` where that is the log; another log has no title above its header."""
        form = self.site.reads_format
        return form if self.path.resolve() == self.site.reads.resolve() else dataclasses.replace(form, header_row=1)

    def _find_encoding(self) -> str:
        """A byte order mark overrules what the site's tables have."""
        marked = self.path.read_bytes()[:3] == b"\xef\xbb\xbf"
        return "utf-8" if marked else self.site.reads_format.encoding


def _append_line(path: Path, cells: list[str], encoding: str) -> None:
    """One line more, on the disk when this returns."""
    try:
        end_last_line(path)
        with path.open("ab") as file:
            file.write(format_csv([cells]).encode(encoding))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ExpectedError(f"the log cannot be written ({error.strerror}); name a file in a folder of yours") from None
