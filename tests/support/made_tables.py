"""A folder with a table of good rows, as CSV or XLSX, that a test then spoils."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl

from client.data.forms.columns import LESIONS, READS
from client.data.forms.site_config import SiteConfig, load_site

HEADER = [column.header for column in LESIONS]
NAMES = [column.name for column in LESIONS]
SITE = "schema: 1\ncenter: 5\nname: H\n"


class Tables:
    """rows, headers, reads and yaml are changed by a test before it asks for the site."""

    def __init__(self, folder: Path, count: int = 4) -> None:
        self.folder = folder
        self.headers = dict(zip(NAMES, HEADER, strict=True))
        self.yaml = SITE
        self.rows: list[dict[str, Any]] = []
        self.reads: list[Sequence[str]] = []
        for name in ("clips", "outlines"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "outlines/a.json").write_bytes(b"")
        for _ in range(count):
            self.add()

    def add(self, **cells: Any) -> None:
        number = len(self.rows)
        clip = f"clips/{number}.dcm"
        (self.folder / clip).write_bytes(b"")
        row: dict[str, Any] = {"lesion_id": f"L{number}", "patient_id": f"Zhang {number}", "exam_date": "2021-05-06"}
        row |= {"fll_type": "HCC", "clips": clip, "clip_start_s": "3", "outline": "outlines/a.json", "ALB": "38"}
        self.rows.append(row | {"outline_frame": "4", "Hep": "1", "sex": "male", **cells})

    def site(self, encoding: str = "utf-8") -> SiteConfig:
        """The folder with its table in CSV."""
        self.write_site()
        with (self.folder / "lesions.csv").open("w", newline="", encoding=encoding) as file:
            csv.writer(file).writerows(self.cells())
        if self.reads:
            with (self.folder / "reads.csv").open("w", newline="", encoding=encoding) as file:
                csv.writer(file).writerows([[column.name for column in READS], *self.reads])
        return load_site(self.folder)

    def workbook_site(self, before: str | None = None) -> SiteConfig:
        """The folder with its table in XLSX. before: name of another filled sheet in front of it."""
        old = "table: lesions.csv"
        self.yaml = self.yaml.replace(old, "") + "\ntable: lesions.xlsx\n"
        self.write_site()
        book = openpyxl.Workbook()
        sheet = book.active
        if before is not None:
            sheet.title = before
            sheet.append(["some", "other", "sheet"])
            sheet = book.create_sheet("Lesions")
        for cells in self.cells():
            sheet.append(cells)
        book.save(self.folder / "lesions.xlsx")
        return load_site(self.folder)

    def write_site(self) -> None:
        (self.folder / "site.yaml").write_text(self.yaml, encoding="utf-8")

    def cells(self) -> list[list[Any]]:
        return [[*self.headers.values()], *([row.get(name) for name in self.headers] for row in self.rows)]
