"""The page of `check --html`: whole, escaped, without network, script or a patient."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_tables import Tables

from ceus_models.runtime.errors import ExpectedError, Fault
from ceus_models.runtime.language.reader_language import speaking
from client.cli.check_page import page_of, write_page
from client.data.dataset.check import CheckReport, check_site
from client.faults.catalogue import REASONS
from client.translation.language import load_language

VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Fails on tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows = 0
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.rows += tag == "tr"
        self.sources += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert tags.sources == []
    for word in ("<script", "http:", "https:", "@import", "url("):
        assert word not in page
    return tags


def test_doubts_stand_below_the_faults() -> None:
    doubt = Fault("lesions.csv", 3, "clips", "no-baseline", "it begins before the contrast", "level 90", "look")
    page = page_of(CheckReport(1, (), {}, {}, doubts=(doubt,)))
    assert parsed(page).rows == 2
    assert "Nothing to mend" in page
    assert REASONS["no-baseline"].meaning in page
    assert "Doubts: clips to be looked at" not in page_of(CheckReport(1, (), {}, {}))


def test_every_fault_is_a_row_below_its_reason(tmp_path: Path) -> None:
    tables = Tables(tmp_path, 30)
    for row in tables.rows:
        row["fll_type"], row["patient_id"] = "Zhang Wei", f"Zhang Wei {row['lesion_id']}"
    tables.rows[0]["exam_date"] = "05/06/2021"
    tables.site()
    report = check_site(tables.folder)
    page = page_of(report)
    assert parsed(page).rows == len(report.faults) + len(report.reasons)
    assert REASONS["unknown-type"].meaning in page
    assert "<details>" in page  # 30 faults of one reason are folded
    assert "<details open>" in page
    for word in ("Zhang", "Wei", "05/06/2021"):
        assert word not in page


def test_texts_are_escaped() -> None:
    fault = Fault("lesions.csv", 2, "<b>", "odd-reason", "a < b & c", '"<script>"', "none")
    page = page_of(CheckReport(0, (fault,), {"<i>": 1}, {}))
    parsed(page)
    assert "a &lt; b &amp; c" in page


def test_nothing_to_mend_is_said() -> None:
    page = page_of(CheckReport(3, (), {"training_a": 3}, {"HCC": 3}, 2))
    parsed(page)
    assert "Nothing to mend" in page
    assert "training_a 3" in page


def test_a_page_that_cannot_be_written_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="cannot be written"):
        write_page(tmp_path / "none" / "a.html", CheckReport(0, (), {}, {}))


def test_the_page_in_chinese_names_files_and_columns_as_they_are(tmp_path: Path) -> None:
    tables = Tables(tmp_path, 4)
    tables.rows[0]["age"], tables.rows[1]["exam_date"], tables.rows[2]["sex"] = "old", "05/06/2021", "femle"
    tables.site()
    report = check_site(tables.folder)
    english = page_of(report)
    with speaking(load_language("zh")):
        page = page_of(report)
    assert page_of(report) == english  # for the context alone
    assert '<html lang="zh-CN"' in page
    assert parsed(page).rows == parsed(english).rows
    for value in ("lesions.csv", "<td>age</td>", "<td>sex</td>", "&#34;aaa&#34;", "bad-number"):
        assert value in page
    text = re.sub(r"<style>.*?</style>|<[^>]*>", "\n", page, flags=re.DOTALL)
    assert re.findall(r"(?:[A-Za-z]{2,} ){3,}[a-z]{2,}", text) == []
