"""What was done is written down before it is done, by whom, and a failure too; nothing is ever changed in the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from server.run_folder.action_log import Actor, log_action, read_actions, read_actor
from server.run_folder.paths import Home

ADA = Actor("ada", "console, token")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_line_says_who_did_what_when_and_how(home: Home) -> None:
    with log_action(home, ADA, "revoke", "site-01", "lost a disk"):
        (written,) = read_actions(home)  # before it is done
    assert [written] == read_actions(home)
    assert (written.who, written.way, written.action) == ("ada", "console, token", "revoke")
    assert (written.about, written.said, written.fault) == ("site-01", "lost a disk", "")
    assert abs(time.time() - written.at) < 60
    assert home.actions.stat().st_mode & 0o777 == 0o600
    assert read_actor() == Actor(read_account(), "command")


def test_a_failure_has_a_second_line_with_the_reason_and_of_a_bug_only_its_kind(home: Home) -> None:
    with pytest.raises(ExpectedError), log_action(home, ADA, "start"):
        raise ExpectedError("nothing runs")
    with pytest.raises(ZeroDivisionError), log_action(home, ADA, "stop"):
        raise ZeroDivisionError("a value of somebody")
    assert [(line.action, line.fault) for line in read_actions(home)] == [
        ("start", ""), ("start", "nothing runs"), ("stop", ""), ("stop", "ZeroDivisionError"),
    ]  # fmt: skip


def test_lines_of_several_processes_do_not_mix_and_none_is_changed(home: Home) -> None:
    def act(number: int) -> None:
        with log_action(home, ADA, "start", f"study-{number}", "x" * 900):
            pass

    act(-1)
    first = home.actions.read_bytes()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(40)))
    assert home.actions.read_bytes().startswith(first)
    assert {line.about for line in read_actions(home)} == {f"study-{number}" for number in range(-1, 40)}


def test_half_a_line_of_a_killed_process_hides_no_other(home: Home) -> None:
    with log_action(home, ADA, "start"):
        pass
    with home.actions.open("ab") as file:
        file.write(b'{"at": 1.0, "who": "ad')
    with log_action(home, ADA, "stop"):
        pass
    assert [line.action for line in read_actions(home)] == ["start", "stop"]


def test_an_action_whose_process_is_killed_in_it_is_there(home: Home) -> None:
    code = (
        "import os, sys, pathlib; from server.run_folder.action_log import *; "
        "home = Home(pathlib.Path(sys.argv[1]))\n"
        "with log_action(home, Actor('ada', 'command'), 'revoke', 'site-01'): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home.folder)], env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert json.loads(home.actions.read_text())["about"] == "site-01"
