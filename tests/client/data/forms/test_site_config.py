"""site.yaml: every fault at once with its line; the secret and the pseudonyms made with it."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import multiprocessing
import stat
from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError, FaultList
from client.data.forms.site_config import SiteConfig, load_site, make_pseudonym, read_secret, select_screens
from client.data.forms.table_format import TableFormat

GOOD = """\
schema: 1
center: 7
name: "Hospital 7"
max_skipped: 0.1
screens:
  - {manufacturer: "G.E. Medical Systems", rows: 480, columns: 640, contrast: [10, 20, 300, 400], tint: gold}
  - manufacturer: "*"
    rows: 600
    columns: 800
    contrast: [0, 0, 400, 600]
    bmode: [400, 0, 800, 600]
    dynamic_range_db: 50
"""


def written(folder: Path, text: str) -> Path:
    (folder / "site.yaml").write_text(text, encoding="utf-8")
    return folder


def faults_of(folder: Path, text: str) -> dict[str, int | None]:
    with pytest.raises(FaultList) as caught:
        load_site(written(folder, text))
    assert all(f.file == "site.yaml" and f.rule and f.remedy for f in caught.value.faults)
    return {fault.column: fault.row for fault in caught.value.faults}


def test_a_good_file_becomes_frozen_types_with_absolute_paths(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD))
    assert (site.center, site.name, site.max_skipped) == (7, "Hospital 7", 0.1)
    assert site.table == tmp_path.resolve() / "lesions.csv"
    assert site.work == tmp_path.resolve() / ".ceus"
    assert site.records == tmp_path.resolve() / "records"
    assert site.screens[0].manufacturer == "GE"
    assert site.screens[1].bmode == (400, 0, 800, 600)
    assert site.screens[1].dynamic_range_db == 50.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        site.center = 8  # type: ignore[misc]


def test_a_makers_own_templates_come_before_those_for_any(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD))
    assert [s.manufacturer for s in select_screens(site, "GE Healthcare")] == ["GE", "*"]
    assert [s.manufacturer for s in select_screens(site, "Philips")] == ["*"]
    assert [s.manufacturer for s in select_screens(site, "")] == ["GE", "*"]


def test_all_faults_come_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """\
schema: 2
center: 99
name: "Hospital"
max_skiped: 0.1
screens:
  - manufacturer: GE
    rows: 480
    columns: "640"
    contrast: [10, 20, 300, 400]
  - manufacturer: Philips
    rows: 480
    columns: 640
    contrast: [300, 20, 10, 400]
policy: {}
"""
    assert faults_of(tmp_path, text) == {
        "schema": 1,
        "center": 2,
        "max_skiped": 4,
        "screens[0].columns": 8,
        "screens[1]": 10,
        "policy": 14,
    }


def test_missing_and_repeated_keys_are_faults(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "schema: 1\ncenter: 3\n") == {"name": 1}
    assert faults_of(tmp_path, "schema: 1\ncenter: 3\nname: a\ncenter: 4\n") == {"center": 2}


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, 2\nb: 3\n",
        "- 1\n- 2\n",
        "",
        "just text",
        "&a [*a]",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefg", "bcdefgh", strict=True)),
        "schema: !!python/object/apply:os.system ['true']",
        "[" * 1500,
        "schema: 1\ncenter: 3\nname: a\n? [1, 2]\n: 3\n",
    ],
)
def test_what_is_no_site_file_is_a_fault_and_nothing_else(tmp_path: Path, text: str) -> None:
    assert faults_of(tmp_path, text)


def test_an_absent_and_a_foreign_file_are_faults(tmp_path: Path) -> None:
    with pytest.raises(FaultList, match="exists and can be read"):
        load_site(tmp_path)
    (tmp_path / "site.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(FaultList, match="UTF-8"):
        load_site(tmp_path)


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD))
    first = read_secret(site)
    assert len(first) == 32
    assert read_secret(site) == first
    assert stat.S_IMODE(site.secret_file.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".secret-*"))


def test_processes_that_start_together_share_one_secret(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD))
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(read_secret, [site] * 8))) == 1


def test_a_spoilt_secret_is_an_expected_error(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD))
    site.secret_file.write_bytes(b"short")
    with pytest.raises(ExpectedError, match="32 bytes; found 5"):
        read_secret(site)


def test_a_pseudonym_is_the_hmac_of_kind_and_id(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD))
    site.secret_file.write_bytes(bytes(range(32)))
    expected = hmac.new(bytes(range(32)), b"fedceus/lesion/P01-1", hashlib.sha256).hexdigest()[:16]
    assert make_pseudonym(site, "lesion", "P01-1") == expected
    assert make_pseudonym(site, "patient", "P01-1") != expected
    assert make_pseudonym(_with_secret(site, bytes(32)), "lesion", "P01-1") != expected


def _with_secret(site: SiteConfig, key: bytes) -> SiteConfig:
    site.secret_file.write_bytes(key)
    return site


MORE = """\
reads: more/reads.csv
encoding: gb18030
dates: month-first
labels:
  fll_type: {肝细胞癌: HCC, "": ""}
  Hep: {阳性: 1, 阴性: no}
tints:
  copper: {channel: red, points: [[0, 0, 0, 0], [128, 160, 90, 50], [255, 255, 230, 200]]}
"""


def test_the_tables_words_dates_encoding_and_tints_are_the_sites(tmp_path: Path) -> None:
    text = GOOD.replace("tint: gold", "tint: copper") + MORE.replace("阴性: no", "阴性: 0")
    site = load_site(written(tmp_path, text))
    assert site.reads == tmp_path.resolve() / "more/reads.csv"
    assert (site.lesions_format, site.reads_format) == (
        TableFormat("table", "gb18030"),
        TableFormat("reads", "gb18030"),
    )
    assert site.dates == "month-first"
    assert site.labels["Hep"] == {"阳性": "1", "阴性": "0"}
    assert site.tints["copper"].channel == 0
    assert site.tints["copper"].points[1] == (128, 160, 90, 50)
    plain = load_site(written(tmp_path, GOOD))
    assert (plain.lesions_format, plain.reads_format) == (TableFormat("table"), TableFormat("reads"))
    assert (plain.dates, plain.labels, plain.outline_labels, plain.tints) == (None, {}, {}, {})


def test_encoding_and_header_row_are_given_per_file(tmp_path: Path) -> None:
    text = "encoding: {reads: gb18030}\nheader_row: {table: 3, reads: 2}\noutline_labels: {病灶: lesion, 1: other}\n"
    site = load_site(written(tmp_path, GOOD + text))
    assert site.lesions_format == TableFormat("table", "utf-8", 3)
    assert site.reads_format == TableFormat("reads", "gb18030", 2)
    assert site.outline_labels == {"病灶": "lesion", "1": "other"}
    alone = load_site(written(tmp_path, GOOD + "header_row: 2\n"))
    assert (alone.lesions_format.header_row, alone.reads_format.header_row) == (2, 1)
    for wrong in ("header_row: 0", "header_row: {lesions: 2}", "encoding: latin-1", "outline_labels: {a: liver}"):
        with pytest.raises(FaultList):
            load_site(written(tmp_path, f"{GOOD}{wrong}\n"))


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("阴性: no", "阴性: no", "labels"),
        ("HCC,", "Hepatoma,", "labels"),
        ("  Hep:", "  Heppar:", "labels"),
        ("  copper:", "  gold:", "tints"),
        ("channel: red", "channel: violet", "tints.copper.channel"),
        ("[128, 160, 90, 50]", "[128, 160, 90]", "tints.copper.points[1][3]"),
        ("[128, 160, 90, 50]", "[128, 256, 90, 50]", "tints.copper.points[1][1]"),
        ("[128, 160, 90, 50]", "[128, 0, 90, 50]", "tints.copper"),
        ("gb18030", "big5", "encoding"),
        ("month-first", "year-first", "dates"),
    ],
)
def test_odd_words_and_tints_are_faults(tmp_path: Path, old: str, new: str, column: str) -> None:
    assert old in MORE
    text = MORE.replace("阴性: no", "阴性: 0") if old != new else MORE
    assert column in faults_of(tmp_path, GOOD + text.replace(old, new))


def test_a_screens_tint_is_a_known_one(tmp_path: Path) -> None:
    with pytest.raises(FaultList, match="the tint of a screen is one of"):
        load_site(written(tmp_path, GOOD.replace("tint: gold", "tint: cooper")))
