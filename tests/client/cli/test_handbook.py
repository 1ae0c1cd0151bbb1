"""docs/site.md is what the code says: its tables are made, not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from client.cli.handbook import app, fill_tables
from client.data.forms.columns import LESIONS, READS
from client.data.imaging.dicom.header import ALLOWED
from client.data.imaging.manufacturers import normalize_manufacturer
from client.faults.catalogue import REASONS

PAGE = Path(__file__).parents[3] / "docs" / "site.md"


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert fill_tables(text) == text, "run: python -m client.cli.handbook docs/site.md"


def test_the_page_has_every_column_tag_and_error() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for column in (*LESIONS, *READS):
        assert f"| `{column.header}` |" in text
    for name in (*ALLOWED, *REASONS):
        assert f"`{name}`" in text


def test_the_page_says_where_each_makers_export_is() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Where the export is")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][1:]
    makers = {normalize_manufacturer(row.split(" (")[0].split(",")[0]) for row in rows}
    assert len(rows) == len(makers) == 9
    assert "unknown" not in {maker.casefold() for maker in makers}


def test_the_tables_are_made_anew(tmp_path: Path) -> None:
    page = tmp_path / "site.md"
    text = PAGE.read_text(encoding="utf-8")
    page.write_text(text.replace("| `lesion_id` |", "| `old` |"), encoding="utf-8")
    assert run_app(app, [str(page)]) == 0
    assert page.read_text(encoding="utf-8") == text
    with pytest.raises(ExpectedError, match=r"reads\.csv"):
        fill_tables(text.replace("<!-- end of reads.csv -->", ""))
