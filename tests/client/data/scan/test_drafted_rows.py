"""Exams of the drafts that the table lacks: which they are, and one of them as a row of the table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from made_export import write_clip, write_export, write_site

from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import SiteConfig, load_site, make_pseudonym
from client.data.forms.withdrawals import Withdrawal, add_withdrawal
from client.data.scan.drafted_rows import add_drafted_row, list_drafted_rows
from client.data.scan.scan import ScanJob, scan_export


def scan(export: Path, folder: Path) -> SiteConfig:
    site = load_site(folder)
    scan_export(ScanJob(export, site, False, 0), lambda step: lambda done, total: None)
    return site


def list_lesions(site: SiteConfig) -> list[str]:
    return [row.cells["lesion_id"] for row in list_drafted_rows(site)]


@pytest.fixture
def site(tmp_path: Path) -> SiteConfig:
    return scan(write_export(tmp_path / "export"), write_site(tmp_path / "site"))


def test_an_exam_is_offered_until_a_row_names_its_clips(site: SiteConfig) -> None:
    first, second, third = list_drafted_rows(site)
    assert not site.table.exists(), "nothing is written unasked"
    add_drafted_row(site, ";".join(second.clips))
    assert list_lesions(site) == ["L0001", "L0003"]
    with site.table.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["lesion_id"], row["clips"], row["clip_start_s"]) == ("L0002", ";".join(second.clips), "0;40")
    with pytest.raises(ExpectedError, match="found none with these clips"):
        add_drafted_row(site, ";".join(second.clips))
    site.table.write_text(f"lesion_id,clips\nour own,{first.clips[0]}\n")
    assert list_lesions(site) == ["L0002", "L0003"], "one clip of it is enough"
    before = site.table.read_bytes()
    add_drafted_row(site, ";".join(third.clips))
    assert site.table.read_bytes() == before + f"L0003,{';'.join(third.clips)}\n".encode()


def test_what_is_gone_or_was_withdrawn_is_not_offered(site: SiteConfig, tmp_path: Path) -> None:
    patient = list_drafted_rows(site)[0].cells["patient_id"]
    add_withdrawal(site.records, Withdrawal(make_pseudonym(site, "patient", patient), "2026-01-01T00:00:00Z", ()))
    assert list_lesions(site) == ["L0002", "L0003"]
    for path in (tmp_path / "export" / "王小明" / "20220101").iterdir():
        path.unlink()
    assert list_lesions(site) == ["L0002"]


def test_an_exam_of_two_drafts_is_one_and_the_later_scan_adds_its_own(site: SiteConfig, tmp_path: Path) -> None:
    (site.folder / "lesions.draft.csv").write_bytes((site.folder / "lesions.draft.csv").read_bytes() + b"\n")
    write_clip(tmp_path / "other" / "IM1", 9, StudyInstanceUID="1.2.99", PatientID="other")
    scan(tmp_path / "other", site.folder)
    assert len(list(site.folder.glob("lesions.draft*.csv"))) == 2
    assert list_lesions(site) == ["L0001", "L0002", "L0003", "L0004"]


def test_a_table_that_is_no_csv_is_left(site: SiteConfig) -> None:
    site.table.with_suffix(".xlsx").write_bytes(b"PK")
    (site.folder / "site.yaml").write_text((site.folder / "site.yaml").read_text() + "table: lesions.xlsx\n")
    changed = load_site(site.folder)
    with pytest.raises(ExpectedError, match="copy them from the draft"):
        add_drafted_row(changed, ";".join(list_drafted_rows(changed)[0].clips))
