from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.process_tree import ProcessGroup

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
"""A process with a child in a session of its own, as Flower's are."""

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def started(fleet: ProcessGroup, name: str, code: str) -> int:
    """Starts `code` and waits for its first line; the number in it, or 0."""
    fleet.start(name, [sys.executable, "-c", code], dict(os.environ))
    wait_for(lambda: fleet.log_path(name).read_text())
    said = fleet.log_path(name).read_text().split()[0]
    return int(said) if said.isdigit() else 0


def test_nothing_is_left_not_even_children_in_other_sessions(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path / "logs") as fleet:
        child = started(fleet, "parent", PARENT)
        fleet.check_running()
        assert not is_gone(child)
    assert is_gone(child)


def test_a_process_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ceus_models.runtime.process_tree._GRACE_S", 0.3)
    before = set(psutil.Process().children())
    begun = time.monotonic()
    with ProcessGroup(tmp_path) as fleet:
        started(fleet, "stubborn", STUBBORN)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5.0
    assert set(psutil.Process().children()) <= before


def test_the_end_of_a_process_is_told_with_its_last_words(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as fleet:
        started(fleet, "node-a", "print('starting'); print('port 8000 is taken\\n'); raise SystemExit(4)")
        wait_for(lambda: ended(fleet))
        with pytest.raises(ExpectedError, match=r"node-a ended with exit code 4: port 8000 is taken; .*node-a\.log"):
            fleet.check_running()


def ended(fleet: ProcessGroup) -> bool:
    try:
        fleet.check_running()
    except ExpectedError:
        return True
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killing_the_starter_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    code = (
        "import os, signal, sys, time; from pathlib import Path\n"
        "from ceus_models.runtime.process_tree import ProcessGroup\n"
        # a shell starts background jobs with SIGINT ignored, and Python then leaves it so
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"with ProcessGroup(Path({str(tmp_path)!r})) as fleet:\n"
        f"    fleet.start('parent', [sys.executable, '-c', {PARENT!r}], dict(os.environ))\n"
        "    time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    log = tmp_path / "parent.log"
    wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
    child = int(log.read_text())
    family = [child, *(process.pid for process in psutil.Process(starter.pid).children())]
    starter.send_signal(how)
    wait_for(lambda: all(map(is_gone, family)))
    starter.wait(10)


def test_the_id_of_a_process_that_has_ended_is_not_ended_again(tmp_path: Path) -> None:
    """By then it may be another's."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with ProcessGroup(tmp_path, grace_s=1.0) as fleet:
            fleet.start("short", [sys.executable, "-c", ""], dict(os.environ))
            wait_for(lambda: fleet.poll_exit_code("short") == 0)
            fleet._processes["short"].pid = other.pid
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
