"""Rows of new exams at the end of a hospital's table, which stays as it is before them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from made_export import write_clip, write_export, write_site

from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import load_site
from client.data.scan.draft import NamedExam
from client.data.scan.scan import ScanJob, scan_export
from client.data.scan.table_rows import add_rows


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path / "site")


def scan(export: Path, site: Path) -> tuple[NamedExam, ...]:
    return scan_export(ScanJob(export, load_site(site), False, 0), lambda step: lambda done, total: None).exams


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def test_a_missing_table_is_the_draft(tmp_path: Path, site: Path) -> None:
    exams = scan(write_export(tmp_path / "e"), site)
    assert add_rows(site / "lesions.csv", "utf-8", exams) == 3
    assert (site / "lesions.csv").read_bytes() == (site / "lesions.draft.csv").read_bytes()
    assert (site / "lesions.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_with_its_own_columns_keeps_every_byte(tmp_path: Path, site: Path, end: str) -> None:
    table, own = site / "lesions.csv", f"备注,clips,lesion_id,ALB (g/L){end}=1+1,clips/a.dcm,王,40".encode("gb18030")
    table.write_bytes(own)
    table.chmod(0o640)
    assert add_rows(table, "gb18030", scan(write_export(tmp_path / "e"), site)) == 3
    content = table.read_bytes()
    assert content.startswith(own)
    assert content[len(own) :].startswith(end.encode())
    assert content.count(end.encode()) == 5
    assert table.stat().st_mode & 0o777 == 0o640
    last = content.decode("gb18030").splitlines()[-1].split(",")
    assert (last[0], last[2], last[3]) == ("", "L0003", "")


def test_only_new_exams_are_added(tmp_path: Path, site: Path) -> None:
    table = site / "lesions.csv"
    assert add_rows(table, "utf-8", scan(write_export(tmp_path / "e"), site)) == 3
    renamed = table.read_text(encoding="utf-8-sig").replace("L0002", "our own id")
    table.write_text(renamed, encoding="utf-8-sig")
    assert add_rows(table, "utf-8", scan(tmp_path / "e", site)) == 0
    write_clip(tmp_path / "e" / "new" / "IM1", 9, StudyInstanceUID="1.2.99")
    assert add_rows(table, "utf-8", scan(tmp_path / "e", site)) == 1
    assert [row["lesion_id"] for row in read(table)] == ["L0001", "our own id", "L0003", "L0004"]
    assert table.read_bytes().startswith(renamed.encode("utf-8-sig"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("lesions.xlsx", b"PK", "CSV table only"),
        ("lesions.csv", b"a,b\n1,2\n", "header"),
        ("lesions.csv", "王".encode("gb18030"), "encoding in site.yaml"),
    ],
)
def test_a_table_that_is_none_is_left(tmp_path: Path, site: Path, name: str, content: bytes, said: str) -> None:
    (site / name).write_bytes(content)
    with pytest.raises(ExpectedError, match=said):
        add_rows(site / name, "utf-8", scan(write_export(tmp_path / "e"), site))
    assert (site / name).read_bytes() == content
