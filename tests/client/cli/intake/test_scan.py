"""`ceus-site scan` as it is typed: what it prints, its next step, JSON, and a kill in the middle."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_export import ID, NAME, write_clip, write_export, write_site

from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.language.reader_language import speaking
from client.cli.main import app
from client.translation.language import load_language


def test_a_scan_says_what_it_found_and_what_comes_next(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export, site = write_export(tmp_path / "export"), write_site(tmp_path / "site")
    assert run_app(app, ["scan", str(export), str(site), "--workers", "1"]) == 0
    said = capfd.readouterr()
    assert "L0003" in said.out
    assert "clips that cannot be used: unreadable-clip 1" in said.out
    assert "draft of the table" in said.out
    assert "next: fill the draft and save it as lesions.csv" in said.err
    assert not any(secret in said.out + said.err for secret in (ID, NAME, "20210307"))
    assert (site / ".ceus" / "scan" / "contact-01.png").exists()


def test_the_page_shows_every_exam_and_no_name(tmp_path: Path) -> None:
    export, site = write_export(tmp_path / "export"), write_site(tmp_path / "site")
    assert run_app(app, ["scan", str(export), str(site), "--workers", "1"]) == 0
    page = site / ".ceus" / "scan" / "scan.html"
    shown = page.read_text(encoding="utf-8")
    pictures = re.findall(r'src="(pictures/[0-9a-f]{32}\.png)"', shown)
    assert len(pictures) == len(set(pictures)) == 5
    assert all((page.parent / name).exists() for name in pictures)
    assert all(f"L000{number} · P000" in shown for number in (1, 2, 3))
    assert shown.count("write outline, fll_type") == 3
    assert "unreadable-clip" in shown
    assert not re.search(r"<script|https?:|王|报告", shown)
    assert not any(secret in shown for secret in (ID, NAME, "20210307", "IM1", str(export)))
    for path in (page.parent / "pictures").iterdir():
        path.unlink()
    assert run_app(app, ["scan", str(export), str(site), "--workers", "1"]) == 0
    shown = page.read_text(encoding="utf-8")
    assert "<img" not in shown
    assert shown.count("The picture was deleted.") == 5


def test_a_scan_is_told_in_chinese(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export, site = write_export(tmp_path / "export"), write_site(tmp_path / "site")
    with speaking(load_language("zh")):
        assert run_app(app, ["scan", str(export), str(site), "--workers", "1"]) == 0
    said = capfd.readouterr()
    assert re.search(r"文件：13（.*影像片段 \d", said.out)
    assert "显示造影" in said.out
    assert "表格草稿" in said.out
    assert "下一步：填写草稿" in said.err
    english = re.findall(r"(?:[A-Za-z]{2,} ){2,}[a-z]{2,}", said.out + said.err)
    assert english == []


def test_json_for_a_machine(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export, site = write_export(tmp_path / "export"), write_site(tmp_path / "site")
    assert run_app(app, ["scan", str(export), str(site), "--workers", "1", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["files"], found["exams"], found["clips"], found["rows"], found["copies"]) == (13, 3, 5, 3, 1)


def test_a_folder_without_a_site_is_an_error_with_its_remedy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "export").mkdir()
    assert run_app(app, ["scan", str(tmp_path / "export"), str(tmp_path)]) == 1
    assert "ceus-site init FOLDER" in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_scan_goes_on(tmp_path: Path, with_signal: signal.Signals) -> None:
    export, site = tmp_path / "export", write_site(tmp_path / "site")
    for number in range(30):
        write_clip(export / f"{number}" / "IM1", number, StudyInstanceUID=f"1.2.{number}", PatientID=f"{number}")
    journal = site / ".ceus" / "scan" / "clips.jsonl"
    command = [sys.executable, "-m", "client.cli.main", "scan", str(export), str(site), "--workers", "1"]
    code = "from client.cli.main import main; main()"
    command = [sys.executable, "-c", code, *command[3:]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    end = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
        assert time.monotonic() < end
        assert running.poll() is None, "it ended before it was stopped"
        time.sleep(0.002)
    running.send_signal(with_signal)
    running.communicate(timeout=60)
    assert running.returncode == (130 if with_signal == signal.SIGTERM else -signal.SIGKILL)
    kept = journal.read_bytes()
    assert 3 <= kept.count(b"\n") < 30
    assert not (site / "lesions.draft.csv").exists()
    again = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=True, timeout=120)
    assert json.loads(again.stdout)["rows"] == 30
    assert journal.read_bytes().startswith(kept[: kept.rfind(b"\n")])
    assert journal.read_bytes().count(b"\n") in (30, 31), "what was known is not looked at again"
