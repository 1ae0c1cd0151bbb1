"""`ceus-site receive` as it is typed: studies by C-STORE into the draft of the table, and a kill in the middle."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest
from dicom_sender import send, start_sending, wait_until_listening
from made_export import ID, NAME, write_clip
from receiver import Receiver

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.file_locks import hold_lock
from client.cli.main import app

CODE = "from client.cli.main import main; main()"


def make_receiver(folder: Path) -> Receiver:
    return Receiver(folder, (sys.executable, "-c", CODE, "receive", str(folder)))


def make_clips(folder: Path, studies: int, clips: int) -> list[Path]:
    """In the order of a PACS that sends study by study."""
    return [
        write_clip(folder / f"{study}-{number}", number, StudyInstanceUID=f"1.2.{study}", PatientID=f"ID-{study}")
        for study in range(studies)
        for number in range(clips)
    ]


def test_what_arrives_is_in_the_draft(tmp_path: Path) -> None:
    receiver = make_receiver(tmp_path / "site")
    with receiver.running():
        assert send(receiver.port, make_clips(tmp_path, 2, 2)).statuses == [0] * 4
        receiver.wait_for("received")
        receiver.wait_for("drafted", 2)
    assert receiver.told[-1]["event"] == "stopped"
    assert receiver.process.returncode == 0
    rows = (receiver.folder / "lesions.draft.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 3
    assert all((receiver.folder / place).exists() for row in rows[1:] for place in row.split(",")[5].split(";"))
    assert not any(secret in str(receiver.told) for secret in (ID, "ID-0", NAME, "1.2.0"))


def test_a_draft_that_another_scan_hinders_is_made_after_it(tmp_path: Path) -> None:
    receiver = make_receiver(tmp_path / "site")
    with receiver.running():
        with hold_lock(receiver.folder / ".ceus" / "scan" / "lock", ExpectedError("a draft is made")):
            send(receiver.port, make_clips(tmp_path, 1, 1))
            receiver.wait_for("trouble")
            assert receiver.count("drafted") == 1
        receiver.wait_for("drafted", 2)
    assert (receiver.folder / "lesions.draft.csv").exists()


def kill_in_the_middle(tmp_path: Path, studies: int, clips: int) -> Receiver:
    receiver = make_receiver(tmp_path / "site")
    paths = make_clips(tmp_path, studies, clips)
    receiver.start()
    try:
        wait_until_listening(receiver.port)
        sending = start_sending(receiver.port, paths)
        staged = receiver.folder / "receiving" / "studies"
        end = time.monotonic() + 240
        while sum(1 for _ in staged.glob("*/*.dcm")) < len(paths) // 2:
            assert time.monotonic() < end
            assert sending.poll() is None, "all was sent before it was killed"
            time.sleep(0.001)
    finally:
        receiver.end(signal.SIGKILL)
    sending.communicate(timeout=240)
    assert receiver.list_studies() == [], "nothing is there before its association was released"
    kept = {path.name for path in staged.glob("*/*.dcm")}
    assert len(paths) // 2 <= len(kept) < len(paths)
    with receiver.running():
        time.sleep(2.5)
        assert receiver.list_studies() == [], "what broke off stays apart"
        assert send(receiver.port, paths).statuses == [0] * len(paths)
        receiver.wait_for("received", seconds=240)
        receiver.wait_for("drafted", 3, seconds=600)  # at each start, and when the studies had arrived
    assert receiver.list_studies() == [clips] * studies
    return receiver


def test_a_kill_in_the_middle_costs_nothing(tmp_path: Path) -> None:
    kill_in_the_middle(tmp_path, 2, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_200_clips_killed_in_the_middle(tmp_path: Path) -> None:
    receiver = kill_in_the_middle(tmp_path, 20, 10)
    rows = (receiver.folder / "lesions.draft.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 21


def test_without_its_section_nobody_may_send(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 1\nname: H\n", encoding="utf-8")
    assert run_app(app, ["receive", str(tmp_path)]) == 1
    assert "the key receive in site.yaml" in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize(
    "section",
    [
        "{title: A}",
        "{title: A, callers: []}",
        "{title: 'seventeen letters', callers: [{title: P}]}",
        "{title: A, callers: [{title: 'a\\b'}]}",
        "{title: A, callers: [{title: P, address: pacs.local}]}",
    ],
)
def test_faults_of_the_section_are_told(tmp_path: Path, section: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.yaml").write_text(f"schema: 1\ncenter: 1\nname: H\nreceive: {section}\n", encoding="utf-8")
    assert run_app(app, ["receive", str(tmp_path)]) == 1
    assert "site.yaml line 4" in " ".join(capfd.readouterr().err.split())
