"""The chain as it is written: by many processes, through full disks, and through writes that stop in the middle."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import client.worker.audit.log
from client.worker.audit.log import HEAD_FILE, LOG_FILE, Audit, AuditError, entries, line_of, parse_entry, read_head
from client.worker.audit.verify import verify


def begun(folder: Path, count: int = 3) -> Audit:
    audit = Audit(folder)
    for number in range(count):
        audit.append("refusal", code="error", reason=f"reason {number}")
    return audit


def test_entries_are_numbered_dated_chained_and_private(tmp_path: Path) -> None:
    begun(tmp_path / "records")
    folder = tmp_path / "records"
    found = list(entries(folder))
    assert [entry["n"] for entry in found] == [1, 2, 3]
    assert all(entry["at"].endswith("Z") and entry["kind"] == "refusal" for entry in found)
    head = read_head(folder)
    assert head is not None
    assert (head.number, head.hash, head.size) == (3, found[-1]["hash"], (folder / LOG_FILE).stat().st_size)
    assert stat.S_IMODE((folder / LOG_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert verify(folder).ok


def test_only_what_line_of_writes_is_an_entry() -> None:
    line = line_of({"n": 1, "kind": "stop", "text": "µ"})
    assert parse_entry(line) == {"n": 1, "kind": "stop", "text": "µ"}
    for other in (line.replace(b",", b", "), b" " + line, line[:-1], b"[]\n", b"{}x\n", b"\xff\n", b"[" * 100_000):
        assert parse_entry(other) is None
    with pytest.raises(ValueError, match="JSON"):
        line_of({"norm": float("nan")})


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_line_torn_by_a_crash_is_removed_and_the_next_entry_but_one_says_so(tmp_path: Path, cut: int) -> None:
    audit = begun(tmp_path, 2)
    whole = line_of({"n": 3, "at": "2026-01-01T00:00:00.000Z", "kind": "stop", "hash": "0" * 64})
    with (tmp_path / LOG_FILE).open("ab") as file:
        file.write(whole[:cut])
    verdict = verify(tmp_path)
    assert verdict.ok
    assert verdict.interrupted
    audit.append("stop")
    repair, stop = list(entries(tmp_path))[2:]
    assert (repair["kind"], repair["torn_bytes"], stop["kind"]) == ("repair", len(whole[:cut]), "stop")
    assert verify(tmp_path).ok
    assert not verify(tmp_path).interrupted


def test_a_crash_between_line_and_head_loses_nothing(tmp_path: Path) -> None:
    audit = begun(tmp_path, 2)
    old = (tmp_path / HEAD_FILE).read_bytes()
    audit.append("start")
    (tmp_path / HEAD_FILE).write_bytes(old)
    verdict = verify(tmp_path)
    assert verdict.ok
    assert verdict.interrupted
    audit.append("stop")
    assert [entry["kind"] for entry in entries(tmp_path)][2:] == ["start", "stop"]
    assert verify(tmp_path).ok


@pytest.mark.parametrize("harm", ["shorter", "longer", "no head", "no log", "foreign head"])
def test_nothing_is_added_to_an_audit_that_was_changed(tmp_path: Path, harm: str) -> None:
    audit = begun(tmp_path)
    log, head = tmp_path / LOG_FILE, tmp_path / HEAD_FILE
    if harm == "shorter":
        log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    elif harm == "longer":
        log.write_bytes(log.read_bytes() + line_of({"n": 4, "kind": "stop", "hash": "0" * 64}))
    elif harm == "foreign head":
        head.write_bytes(b"{}\n")
    else:
        (head if harm == "no head" else log).unlink()
    with pytest.raises(AuditError, match="audit verify"):
        audit.append("stop")
    assert not verify(tmp_path).ok


@pytest.mark.parametrize("written", [0, 30])
def test_a_full_disk_is_an_error_with_a_remedy_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    audit = begun(tmp_path)
    before = (tmp_path / LOG_FILE).read_bytes()
    real = os.pwrite

    def full(handle: int, data: bytes, place: int) -> int:
        if written and place == len(before):
            return real(handle, data[:written], place)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("client.worker.audit.log.os.pwrite", full)
    with pytest.raises(AuditError, match="free disk space"):
        audit.append("stop")
    monkeypatch.undo()
    assert (tmp_path / LOG_FILE).read_bytes() == before
    audit.append("stop")
    assert verify(tmp_path).ok


def test_a_full_disk_for_the_head_takes_the_line_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = begun(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(client.worker.audit.log, "write_atomically", full)
    with pytest.raises(AuditError, match="free disk space"):
        audit.append("stop")
    monkeypatch.undo()
    verdict = verify(tmp_path)
    assert (verdict.ok, verdict.entries, verdict.interrupted) == (True, 3, False)


def many(folder: Path, count: int) -> None:
    begun(folder, count)


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    writers = [spawn.Process(target=many, args=(tmp_path, 20)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    verdict = verify(tmp_path)
    assert (verdict.ok, verdict.entries) == (True, 60)


def test_a_lock_that_is_never_given_back_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = begun(tmp_path)
    monkeypatch.setattr(client.worker.audit.log, "LOCK_S", 0.1)
    with (
        client.worker.audit.log.held(tmp_path),
        pytest.raises(AuditError, match="another process"),
    ):
        audit.append("stop")


WRITER = """
import sys
from pathlib import Path
from client.worker.audit.log import Audit
audit = Audit(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    audit.append("refusal", code="error", reason="x" * 20000)
"""


def test_kill_9_at_any_moment_leaves_an_audit_that_goes_on(tmp_path: Path) -> None:
    for number in range(5):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.05 + 0.013 * number)
            process.send_signal(signal.SIGKILL)
        assert verify(tmp_path).ok
        Audit(tmp_path).append("start")
        verdict = verify(tmp_path)
        assert verdict.ok
        assert not verdict.interrupted
    assert verdict.entries > 10
