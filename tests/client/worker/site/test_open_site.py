"""A hospital's worker as its hospital runs it: started, paused, changed and stopped as a process of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_hospital import SmallHospital

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import PROTOCOL, Message, Refusal, Task, Update
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.study.processing import load_processing
from client.cli.main import app
from client.courier.ipc import WorkerUnreachableError, ask
from client.worker.audit.log import Entry, entries
from client.worker.audit.verify import verify
from client.worker.site.open_site import open_site
from tests.support.open_policy import open_text

PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"
HELLO = Task("hello", "a plan", 1, "hello", 0)


class Running:
    """A worker of a small hospital."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan, self.path = folder / "site", folder / "plan.yaml", folder / "w.sock"
        self.folder.mkdir()
        self.plan.write_text(PLAN, encoding="utf-8")
        SmallHospital(self.folder, 3).write()
        assert run_app(app, ["index", str(self.folder), "--plan", str(self.plan), "--workers", "1"]) == 0
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        options = ["--folder", self.folder, "--socket", self.path]
        command = [sys.executable, "-m", "client.worker.process", *options]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        end = time.monotonic() + 60
        while not self.answers():
            assert started.poll() is None, started.stdout and started.stdout.read()
            assert time.monotonic() < end
            time.sleep(0.05)
        return started

    def answers(self) -> bool:
        try:
            return bool(self.ask(HELLO))
        except WorkerUnreachableError:
            return False

    def ask(self, task: Task) -> Message:
        return decode(ask(self.path, to_bytes(task), 20.0))

    def count_lesions(self) -> float:
        answer = self.ask(HELLO)
        assert isinstance(answer, Update), answer
        return answer.weight

    def command(self, *words: str) -> int:
        return run_app(app, [words[0], str(self.folder), *words[1:]])

    def audited(self, kind: str) -> list[Entry]:
        return [entry for entry in entries(self.folder / "records") if entry["kind"] == kind]

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=120)
        return self.process.returncode


@pytest.fixture(scope="module")
def worker() -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    running = Running(folder)
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)
    shutil.rmtree(folder)


def refused(answer: Message) -> str:
    assert isinstance(answer, Refusal)
    assert answer.code == "policy"
    return answer.reason


def test_a_running_worker_is_paused_and_resumed_at_once(worker: Running) -> None:
    assert isinstance(worker.ask(HELLO), Update)
    assert worker.command("pause") == 0
    assert "ceus-site resume" in refused(worker.ask(HELLO))
    assert worker.command("resume") == 0
    assert isinstance(worker.ask(HELLO), Update)
    assert worker.command("withdraw", "--yes") == 0
    assert "withdrawn" in refused(worker.ask(HELLO))
    assert worker.command("rejoin") == 0
    assert isinstance(worker.ask(HELLO), Update)


def test_a_changed_policy_holds_for_the_running_worker(worker: Running) -> None:
    policy = worker.folder / "policy.yaml"
    before = policy.read_text(encoding="utf-8")
    policy.write_text(open_text(kinds=["tally"]), encoding="utf-8")
    assert "kinds are tally, not hello" in refused(worker.ask(HELLO))
    policy.write_text("studies: {", encoding="utf-8")
    assert "has a fault" in refused(worker.ask(HELLO))
    policy.write_text(before, encoding="utf-8")
    assert isinstance(worker.ask(HELLO), Update)
    assert [entry["faults"] for entry in worker.audited("policy")][-3:] == [0, 1, 0]


def test_a_simulation_keeps_no_audit_unless_it_is_asked_to(worker: Running, tmp_path: Path) -> None:
    copy, processing = tmp_path / "copy", load_processing(worker.plan)
    shutil.copytree(worker.folder, copy, ignore=shutil.ignore_patterns("records"))
    assert isinstance(open_site(copy, processing).handle(HELLO), Update)
    assert not (copy / "records").exists()
    assert isinstance(open_site(copy, processing, audited=True).handle(HELLO), Update)
    assert verify(copy / "records").entries == 3
    (copy / "policy.yaml").unlink()
    with pytest.raises(ExpectedError, match=r"policy\.yaml"):
        open_site(copy, processing)


def test_the_audit_of_a_hospital_holds_no_lesion_no_path_and_no_name(worker: Running) -> None:
    text = (worker.folder / "records" / "audit.jsonl").read_text(encoding="utf-8")
    keys = {sample.key for sample in open_site(worker.folder, load_processing(worker.plan)).samples}
    assert len(keys) == 3
    assert not any(word in text for word in (*keys, str(worker.folder), "L0", "P0", "Hospital"))
    assert json.loads(text.splitlines()[0])["kind"] == "policy"


def test_a_lesion_that_left_the_table_or_whose_patient_withdrew_is_out_of_the_running_worker(
    worker: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    table = worker.folder / "lesions.csv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(lines[:-1]), encoding="utf-8")
    answer = worker.ask(HELLO)
    assert isinstance(answer, Refusal)
    assert "`ceus-site index`" in answer.reason
    assert worker.command("index", "--plan", str(worker.plan), "--workers", "1") == 0
    assert worker.count_lesions() == 2
    assert worker.command("forget", "P0", "--yes") == 0
    assert worker.count_lesions() == 1
    assert worker.command("index", "--plan", str(worker.plan), "--workers", "1") == 0
    assert "of patients who withdrew, and left out: 1" in capsys.readouterr().out
    assert worker.count_lesions() == 1, "though the row is in the table still"
    assert [entry["lesions"] for entry in worker.audited("forget")] == [1]


def test_its_audit_begins_with_its_versions_and_ends_as_it_was_told_to(worker: Running) -> None:
    assert worker.end(signal.SIGTERM) == 0
    (start,) = worker.audited("start")
    assert start["protocol"] == str(PROTOCOL)
    assert set(start) >= {"fedceus", "framing", "python", "torch", "processing"}
    assert list(entries(worker.folder / "records"))[-1]["kind"] == "stop"
    assert verify(worker.folder / "records").ok
    assert run_app(app, ["audit", "verify", str(worker.folder)]) == 0
