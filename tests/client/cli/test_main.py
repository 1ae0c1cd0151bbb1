"""`ceus-site check | index | show` on a small hospital: what they print, write and return."""

from __future__ import annotations

import json
import platform
import stat
from importlib.metadata import version
from pathlib import Path

import cv2
import pytest
from small_hospital import SmallHospital

from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.language.reader_language import ENGLISH, use_language
from client.cli.main import app

PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"


@pytest.fixture
def hospital(tmp_path: Path) -> SmallHospital:
    (tmp_path / "site").mkdir()
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    hospital = SmallHospital(tmp_path / "site", 3)
    hospital.write()
    return hospital


def run(hospital: SmallHospital, command: str, *more: str) -> int:
    plan = [] if command == "check" else ["--plan", str(hospital.folder.parent / "plan.yaml")]
    return run_app(app, [command, str(hospital.folder), "--workers", "1", *plan, *more])


def test_check_of_a_clean_folder_ends_with_0(hospital: SmallHospital, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hospital, "check") == 0
    assert "usable lesions: 3" in capsys.readouterr().out


def test_check_tells_all_faults_and_ends_with_1(
    hospital: SmallHospital, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    hospital.rows[0]["fll_type"] = "FNH"
    hospital.rows[2]["outline"] = ""
    hospital.write()
    assert run(hospital, "check") == 1
    out = capsys.readouterr().out
    for part in (
        "lesions.csv",
        "fll_type",
        "one of HCC, HM, ICC, HH, HA, OT",
        "missing-outline",
        "faults: 2",
        "usable lesions: 1",
    ):
        assert part in out


def test_check_and_index_count_what_the_study_does_not_take(
    hospital: SmallHospital, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    hospital.rows[1] |= {"age": "12", "pathology_confirmed": "1"}
    hospital.write()
    for command in ("check", "index"):
        assert run(hospital, command) == 0
        out = capsys.readouterr().out
        assert "not taken by the study's rules of inclusion: 1\n    1 × patient younger than 18 years\n" in out
        assert "too-young" not in out
    page = hospital.folder.parent / "page.html"
    assert run(hospital, "check", "--html", str(page)) == 0
    assert "1 × patient younger than 18 years" in page.read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(hospital, "check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["excluded"] == {"too-young": 1}


def test_check_for_a_machine_is_json(hospital: SmallHospital, capsys: pytest.CaptureFixture[str]) -> None:
    hospital.rows[1]["ALB"] = "4.1"
    hospital.write()
    assert run(hospital, "check", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["usable"] == 2
    assert report["reasons"] == {"implausible-value": 1}
    (fault,) = report["faults"]
    assert (fault["file"], fault["row"], fault["column"]) == ("lesions.csv", 3, "ALB")
    assert set(fault) == {"file", "row", "column", "reason", "rule", "value", "remedy"}


def test_index_skips_counts_and_keeps(hospital: SmallHospital, capsys: pytest.CaptureFixture[str]) -> None:
    hospital.rows[1]["fll_type"] = "FNH"
    site = hospital.folder / "site.yaml"
    site.write_text(site.read_text(encoding="utf-8") + "max_skipped: 0.5\n", encoding="utf-8")
    hospital.write()
    assert run(hospital, "index", "--workers", "1", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["read"], report["made"], report["skipped"]) == (2, 2, {"unknown-type": 1})
    assert run(hospital, "index", "--workers", "1") == 0
    assert "lesions read: 2 (newly made 0), skipped: 1" in capsys.readouterr().out


def test_index_above_the_sites_limit_is_an_expected_error(
    hospital: SmallHospital, capsys: pytest.CaptureFixture[str]
) -> None:
    hospital.rows[1]["fll_type"] = "FNH"
    hospital.write()
    assert run(hospital, "index", "--workers", "1") == 1
    assert "unknown-type 1" in capsys.readouterr().err


def test_show_draws_a_sheet_a_lesion_and_one_contact_sheet(hospital: SmallHospital, tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    assert run(hospital, "show", "--out", str(out)) == 0
    names = sorted(path.name for path in out.iterdir())
    assert "contact.png" in names
    assert [len(name) for name in names if name != "contact.png"] == [len("0123456789abcdef.png")] * 3
    assert min(cv2.imread(str(path)).std() for path in out.iterdir()) > 5


def test_show_of_one_row_draws_only_that(hospital: SmallHospital) -> None:
    assert run(hospital, "show", "--lesion", "3") == 0
    assert len(list((hospital.folder / ".ceus/sheets").iterdir())) == 1


@pytest.mark.parametrize(("line", "told"), [("9", "row 9 of lesions.csv holds no lesion"), ("3", "one of HCC")])
def test_show_of_a_row_that_cannot_be_drawn_says_why(
    hospital: SmallHospital, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    hospital.rows[1]["fll_type"] = "FNH"
    hospital.write()
    assert run(hospital, "show", "--lesion", line) == 1
    assert told in capsys.readouterr().err


def test_a_folder_that_is_none_is_an_expected_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["index", str(tmp_path / "nowhere")]) == 1
    assert "site.yaml" in capsys.readouterr().err


def test_a_bug_ends_with_3_and_a_log_without_the_exceptions_text(
    hospital: SmallHospital, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(*_: object) -> None:
        raise ZeroDivisionError("Wang, 1957")

    monkeypatch.setattr("client.cli.dataset.check_site", trip)
    assert run(hospital, "check") == 3
    told = "".join(capsys.readouterr().err.split())
    log = Path(told[told.index("/") : told.index(".log") + 4])
    text = log.read_text(encoding="utf-8")
    log.unlink()
    assert "ZeroDivisionError" in text
    for part in (f"fedceus {version('fedceus')}", f"Python {platform.python_version()}", platform.system()):
        assert part in text
    assert "Send this file to the maintainers of fedceus" in text
    assert platform.node() not in text
    assert "Wang" not in text + told


def test_check_writes_a_page_and_suggestions_and_leaves_the_table(hospital: SmallHospital, tmp_path: Path) -> None:
    hospital.rows[1]["fll_type"] = "metastasis"
    table = hospital.write() / "lesions.csv"
    before = table.read_bytes()
    page, fixes = tmp_path / "page.html", tmp_path / "fixes.csv"
    assert run(hospital, "check", "--html", str(page), "--fix-suggestions", str(fixes)) == 1
    assert "unknown-type" in page.read_text(encoding="utf-8")
    assert "metastasis,HM" in fixes.read_text(encoding="utf-8")
    assert run(hospital, "check", "--fix-suggestions", str(table)) == 1
    assert table.read_bytes() == before


def test_init_writes_forms_that_check_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert run_app(app, ["init", str(folder)]) == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "lesions.csv" in capsys.readouterr().out
    assert run_app(app, ["check", str(folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["reasons"] == {"example-row": 1}
    assert run_app(app, ["init", str(folder)]) == 1
    assert "nothing is overwritten" in capsys.readouterr().err


def test_check_and_index_in_chinese_and_json_in_english(
    hospital: SmallHospital, capsys: pytest.CaptureFixture[str]
) -> None:
    hospital.rows[0]["clips"], hospital.rows[1]["sex"] = "clips/gone.avi", "femle"
    hospital.write()
    assert run(hospital, "check", "--json") == 1
    english = json.loads(capsys.readouterr().out)
    try:
        assert run(hospital, "check", "--lang", "zh", "--json") == 1
        assert json.loads(capsys.readouterr().out) == english
        assert run(hospital, "check", "--lang", "zh") == 1
        told = capsys.readouterr().out
        assert "错误  lesions.csv 第 2 行，clips: 表格所列的每个文件应存在，实际为没有该文件：" in told
        assert "可用病灶：1（" in told
        assert "missing-clip" in told
        assert run(hospital, "index", "--lang", "zh") == 1
        assert "已读取病灶：1（新生成 1），跳过：2" in capsys.readouterr().out
    finally:
        use_language(ENGLISH)
