"""`ceus-site init`: forms that `check` reads, an example that is never a patient, and nothing overwritten."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import get_args

import pytest

from ceus_models.runtime.errors import ExpectedError
from client.cli.init import start_site
from client.data.dataset.check import check_site
from client.data.forms.columns import CLOSED, EXAMPLE_ID, LESIONS, READS, SCHEMA
from client.data.forms.site_config import load_site
from client.data.forms.site_yaml import SiteForm
from client.data.forms.table_format import TableFormat
from client.data.table.manifest import read_manifest
from client.data.table.table import read_table


def test_a_new_folder_has_one_fault_its_example_row(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "site"
    made = {path.name for path in start_site(folder)}
    assert made == {"site.yaml", "policy.yaml", "lesions.csv", "reads.csv", "clips", "outlines"}
    report = check_site(folder)
    assert [(fault.file, fault.row, fault.reason) for fault in report.faults] == [("lesions.csv", 2, "example-row")]
    assert report.usable == 0


def test_the_example_row_is_a_good_row_but_for_its_id(tmp_path: Path) -> None:
    """With the example's own files and another id it is a lesion: what it shows is what may be written."""
    start_site(tmp_path)
    row = {column.name: column.example for column in LESIONS}
    for name in [*row["clips"].split(";"), row["outline"]]:
        (tmp_path / name).write_bytes(b"")
    text = (tmp_path / "lesions.csv").read_text(encoding="utf-8-sig").replace(EXAMPLE_ID, "L1")
    (tmp_path / "lesions.csv").write_text(text, encoding="utf-8")
    manifest = read_manifest(load_site(tmp_path))
    assert manifest.faults == ()
    assert len(manifest.rows) == 1
    assert manifest.rows[0].clips[1].start_s == 95.5


def test_the_example_is_known_in_either_id(tmp_path: Path) -> None:
    start_site(tmp_path)
    text = (tmp_path / "lesions.csv").read_text(encoding="utf-8-sig")
    (tmp_path / "lesions.csv").write_text(text.replace(EXAMPLE_ID, "L1", 1), encoding="utf-8")
    manifest = read_manifest(load_site(tmp_path))
    assert [fault.reason for fault in manifest.faults] == ["example-row"]
    assert manifest.rows == ()


@pytest.mark.parametrize("name", ["site.yaml", "lesions.csv", "reads.csv"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ExpectedError, match=name):
        start_site(tmp_path)
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"clips", name, "home"}


def test_a_folder_that_cannot_be_made_is_an_expected_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ExpectedError, match="cannot be written"):
        start_site(tmp_path / "file" / "site")


def test_the_forms_are_of_one_version(tmp_path: Path) -> None:
    """A change of what the columns are or may hold raises SCHEMA; a new optional column does not."""
    start_site(tmp_path)
    assert get_args(SiteForm.model_fields["version"].annotation) == (SCHEMA,)
    with (tmp_path / "lesions.csv").open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file))
    assert header == [column.header for column in LESIONS]
    needed = [(column.header, column.allowed) for column in (*LESIONS, *READS) if not column.optional]
    assert (SCHEMA, hashlib.sha256(repr(needed).encode()).hexdigest()[:12]) == (1, "8dad9936ba69")
    assert set(CLOSED) < {column.name for column in (*LESIONS, *READS)}
    table = read_table(tmp_path / "lesions.csv", TableFormat(), {})
    assert table.faults == ()
    assert set(table.factors) >= {"ALB", "AFP", "WBC"}


def test_every_column_is_explained() -> None:
    for column in (*LESIONS, *READS):
        assert column.meaning
        assert not column.allowed or column.example in (*column.allowed, "")
