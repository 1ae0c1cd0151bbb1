"""Work in a forked child: whatever it does, the parent gets a reply or a cause, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from client.courier.forked_task import ChildFault, Reply, run_in_child


def told(work: Callable[[], Reply], seconds: float = 20.0) -> Reply:
    child = run_in_child(work)
    try:
        return child.reply(seconds)
    finally:
        child.end()
        assert not psutil.pid_exists(child.pid)


def test_data_of_any_size_comes_back_whole() -> None:
    for size in (0, 1, 70_000, 20_000_000):
        data = os.urandom(min(size, 1000)) * max(1, size // 1000)
        assert told(lambda data=data: Reply(data)).data == data  # type: ignore[misc]


def test_an_error_comes_back_with_its_code() -> None:
    found = told(lambda: Reply(code=102, reason="no worker"))
    assert (found.code, found.reason, found.data) == (102, "no worker", b"")


def raising() -> Reply:
    raise ValueError("patient 12345")


def exiting() -> Reply:
    sys.exit(3)


def dying() -> Reply:
    os.kill(os.getpid(), signal.SIGKILL)
    return Reply()


@pytest.mark.parametrize("work", [raising, exiting, dying])
def test_a_child_that_stops_is_known_at_once(work: Callable[[], Reply], capfd: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    with pytest.raises(ChildFault, match="the child died"):
        told(work)
    assert time.monotonic() - begun < 5
    assert "patient" not in "".join(capfd.readouterr())


def test_a_child_that_hangs_is_ended() -> None:
    begun = time.monotonic()
    with pytest.raises(ChildFault, match="the child too slow"):
        told(lambda: time.sleep(60) or Reply(), 0.3)  # type: ignore[func-returns-value]
    assert time.monotonic() - begun < 5


def test_a_child_that_is_killed_from_outside_is_known() -> None:
    child = run_in_child(lambda: time.sleep(60) or Reply())  # type: ignore[func-returns-value]
    child.kill()
    with pytest.raises(ChildFault, match="died"):
        child.reply(20.0)
    child.end()
    child.end()  # twice does no harm
    child.kill()


def test_no_file_stays_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        told(lambda: Reply(b"x"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_imports_are_inherited() -> None:
    assert told(lambda: Reply(b"1" if "psutil" in sys.modules else b"0")).data == b"1"
