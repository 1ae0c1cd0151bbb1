"""A reader study's log: what a radiologist says of a lesion before and after the model's answer, and how long it took.

It is a table in the form of `reads.csv`, so it holds the hospital's own lesion ids and stays there. Every decision is
on the disk before the next question, and what a reader has said already is not asked again.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import end_last_line
from ceus_models.runtime.errors import ExpectedError, FaultList
from client.data.forms.columns import READS
from client.data.forms.site_config import SiteConfig
from client.data.table.reads import read_reads
from client.data.table.table import READ_FORM, Table, read_table
from client.data.table.xlsx import SUFFIXES

Ask = Callable[[str], str | None]
"""A question → one of the lesion types, None where the reader passes."""


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
            _write(self.path, header, "utf-8-sig")
        table = self._table()
        if table.faults:
            raise FaultList(tuple(table.faults))

    def said(self, lesion: str) -> set[bool]:
        """How the reader has judged a lesion already: without the model (False), with it (True)."""
        found, _ = read_reads(dataclasses.replace(self.site, reads=self.path), [lesion])
        return {read.assisted for read in found if read.lesion_id == lesion and read.reader == self.reader.name}

    def record(self, lesion: str, assisted: bool, ask: Ask, question: str) -> bool:
        """Ask once, unless it was said already; False where the reader passes. Raises ExpectedError."""
        if assisted in self.said(lesion):
            return True
        begun = self.clock()
        diagnosis = ask(question)
        if diagnosis is None:
            return False
        cells = {
            "lesion_id": lesion,
            "reader": self.reader.name,
            "role": self.reader.role,
            "assisted": "yes" if assisted else "no",
            "diagnosis": diagnosis,
            "seconds": f"{self.clock() - begun:.1f}",
        }
        table = self._table()
        by_place = {place: cells.get(name, "") for name, place in table.positions.items()}
        _write(self.path, [by_place.get(place, "") for place in range(table.width)], self._encoding())
        return True

    def _table(self) -> Table:
        return read_table(self.path, self.site.encoding, self.site.labels, READ_FORM)

    def _encoding(self) -> str:
        """A byte order mark overrules what the site's tables have."""
        marked = self.path.read_bytes()[:3] == b"\xef\xbb\xbf"
        return "utf-8" if marked else self.site.encoding


def _write(path: Path, cells: list[str], encoding: str) -> None:
    """One line more, on the disk when this returns."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    try:
        end_last_line(path)
        with path.open("ab") as file:
            file.write(text.getvalue().encode(encoding))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ExpectedError(f"the log cannot be written ({error.strerror}); name a file in a folder of yours") from None
