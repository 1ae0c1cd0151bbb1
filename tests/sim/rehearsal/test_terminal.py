"""Commands are shown, run as processes, and ended; what fails is said with its log."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.process_tree import ProcessGroup
from sim.rehearsal.terminal import Terminal

STAYS = "import time; print('warming'); print('ready at 7', flush=True); time.sleep(600)"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with ProcessGroup(tmp_path, grace_s=2.0) as fleet:
        yield Terminal(fleet, Console(file=io.StringIO(), width=40), patience_s=30.0)


def shown(terminal: Terminal) -> str:
    out = terminal.out.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def test_a_command_is_shown_as_it_can_be_typed_with_its_meaning_and_seconds(terminal: Terminal) -> None:
    assert terminal.run("greets", "python", "-c", "print('good day')") == "good day\n"
    line, meaning = shown(terminal).splitlines()
    assert re.fullmatch(r"\$ \S*python -c 'print\('\"'\"'good day'\"'\"'\)'", line)
    assert re.fullmatch(r"  greets … \d+\.\d s", meaning)
    assert (terminal.fleet.logs / "01-python--c.log").read_text() == "good day\n"


def test_output_is_shown_where_it_is_wanted(terminal: Terminal) -> None:
    terminal.run("counts", "python", "-c", "print('[1]'); print('[2]')", shown=True)
    assert shown(terminal).splitlines()[1:4] == ["  counts", "  | [1]", "  | [2]"]


def test_what_fails_is_said_with_its_last_line_and_its_log(terminal: Terminal) -> None:
    with pytest.raises(ExpectedError, match=r"exit code 4: no such site; what it said is in .*01-python--c\.log"):
        terminal.run("fails", "python", "-c", "print('no such site'); raise SystemExit(4)")


def test_what_is_not_ready_in_time_is_an_error(terminal: Terminal) -> None:
    terminal.patience_s = 1.0
    with pytest.raises(ExpectedError, match="was not ready within 1 s"):
        terminal.wait_for("never said", terminal.start("sleeps", "python", "-c", STAYS))


def test_what_stays_is_waited_for_and_ends_with_the_fleet(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path, grace_s=2.0) as fleet:
        terminal = Terminal(fleet, Console(file=io.StringIO()), patience_s=30.0)
        command = terminal.start("stays", "python", "-c", STAYS)
        assert terminal.wait_for("ready", command) == "ready at 7"
        (process,) = [one for one in psutil.Process().children() if STAYS in one.cmdline()]
    assert not process.is_running()
    assert command.line.endswith(" &")
    assert "stays: ready after" in shown(terminal)


def test_what_ends_before_its_sign_is_an_error(terminal: Terminal) -> None:
    command = terminal.start("stays", "python", "-c", "print('port taken')")
    with pytest.raises(ExpectedError, match="ended with exit code 0: port taken"):
        terminal.wait_for("ready", command)


def test_a_program_that_is_not_installed_is_named(terminal: Terminal) -> None:
    with pytest.raises(ExpectedError, match="ceus-nothing, it is missing; install"):
        terminal.run("nothing", "ceus-nothing", "x")


def test_commands_speak_english_whatever_the_machine_speaks(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert terminal.run("says", "python", "-c", "import os; print(os.environ['LC_ALL'])") == "C.UTF-8\n"
