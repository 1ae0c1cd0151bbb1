"""One bad item costs itself only: failures, crashes, hangs and growth are counted, the others are done."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import odd_work
import psutil
import pytest

from ceus_models.runtime.errors import ExpectedError
from client.data.dataset import worker_pool
from client.data.dataset.worker_pool import Limits, LostItem, map_items, map_trusted

TESTS = Path(__file__).parents[3] / "support"


def outcomes(items: list[str], workers: int, limits: Limits) -> dict[str, str | LostItem]:
    return dict(map_items(odd_work.do, items, workers, limits))


def test_bad_items_cost_themselves_only() -> None:
    items = ["a", "crash", "b", "fail", "c", "grow", "d", "exit", "huge", "noisy", "e"]
    found = outcomes(items, 2, Limits(memory_bytes=300 << 20))
    assert {item: found[item] for item in "abcde"} == {item: item * 2 for item in "abcde"}
    lost = {item: outcome for item, outcome in found.items() if isinstance(outcome, LostItem)}
    assert {item: outcome.reason for item, outcome in lost.items()} == {
        "crash": "reading-crashed",
        "exit": "reading-crashed",
        "fail": "reading-failed",
        "grow": "reading-too-large",
        "huge": "reading-too-large",
    }
    assert lost["crash"].detail == f"signal {signal.SIGSEGV.value}"
    assert lost["exit"].detail == "exit code 3"
    assert lost["fail"].detail.startswith("KeyError at odd_work.py:")
    assert found["noisy"] == "noisynoisy"


def test_an_item_that_takes_too_long_costs_itself_only() -> None:
    """A test of its own: on a busy machine, growing takes longer than a limit for hanging may be."""
    found = outcomes(["a", "hang", "b"], 1, Limits(seconds=5.0))
    assert (found["a"], found["b"]) == ("aa", "bb")
    assert isinstance(found["hang"], LostItem)
    assert found["hang"].reason == "reading-too-long"


def test_our_own_work_raises_what_it_raises() -> None:
    assert dict(map_trusted(odd_work.do, ["a", "b"], 2)) == {"a": "aa", "b": "bb"}
    with pytest.raises(KeyError):
        list(map_trusted(odd_work.do, ["a", "fail"], 1))
    with pytest.raises(ExpectedError, match="a worker process ended before its work was done \\(exit code 3\\)"):
        list(map_trusted(odd_work.do, ["exit"], 1))


def test_without_workers_failures_are_caught_as_well() -> None:
    found = outcomes(["a", "fail", "huge"], 0, Limits())
    assert found["a"] == "aa"
    assert isinstance(found["fail"], LostItem)
    assert isinstance(found["huge"], LostItem)
    assert found["huge"].reason == "reading-too-large"


def test_items_are_taken_when_a_worker_is_free_and_workers_end_at_once() -> None:
    taken = []

    def items() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            yield str(number)

    with closing(map_items(odd_work.do, items(), 1)) as found:
        for _ in range(3):
            next(found)
        assert len(taken) <= 5
        (worker,) = multiprocessing.active_children()
    assert not worker.is_alive()


def test_what_libraries_print_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(map_items(odd_work.do, ["noisy", "fail"], 1))
    told = capfd.readouterr()
    assert odd_work.SECRET not in told.out + told.err


def test_workers_that_cannot_start_are_a_bug_and_no_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odd_work.not_importable, "__qualname__", "gone")
    monkeypatch.setattr(odd_work, "gone", odd_work.not_importable, raising=False)
    with pytest.raises(RuntimeError, match="cannot start"):
        list(map_items(odd_work.not_importable, ["a", "b"], 1))


@pytest.mark.parametrize("what", ["os._exit(9)", "time.sleep(600)"])
def test_a_worker_that_does_not_start_at_once_is_started_again(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "_START_S", 6.0)
    monkeypatch.delitem(sys.modules, "late_work", raising=False)
    mark = tmp_path / "mark"
    code = f"import os, pathlib, time\nmark = pathlib.Path({str(mark)!r})\nif not mark.exists():\n    mark.touch()\n"
    (tmp_path / "late_work.py").write_text(f"{code}    {what}\n\n\ndef do(item):\n    return item * 2\n")
    mark.touch()
    monkeypatch.syspath_prepend(tmp_path)
    late_work = importlib.import_module("late_work")
    mark.unlink()
    assert list(map_items(late_work.do, ["a", "b"], 1)) == [("a", "aa"), ("b", "bb")]
    assert mark.exists()


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = "import odd_work; from client.data.dataset.worker_pool import map_items\n"
    code += f"list(map_items(odd_work.do, [{f'tell {told}'!r}], 1))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    worker = _pid(told)
    parent.kill()
    parent.wait()
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def _pid(path: Path) -> psutil.Process:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.is_file() and path.read_text():
            return psutil.Process(int(path.read_text()))
        time.sleep(0.05)
    raise AssertionError("the worker did not start")


def test_workers_do_not_load_what_the_command_line_loads(tmp_path: Path) -> None:
    """The main module of `ceus-site` brings libraries for training; a spawned process would import it again."""
    loaded = tmp_path / "loaded"
    code = f"open({str(loaded)!r}, 'a').write('once')\nimport odd_work\n"
    code += "from client.data.dataset.worker_pool import map_items\n"
    code += "if __name__ == '__main__':\n    print([found for _, found in map_items(odd_work.do, ['ab'], 1)])\n"
    (tmp_path / "main.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, str(tmp_path / "main.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['abab']"
    assert loaded.read_text() == "once"
