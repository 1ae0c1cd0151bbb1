"""`ceus-sim rehearsal`: the whole federation by its commands, to the report; afterwards nothing of it runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from client.worker.audit.verify import verify
from tests.support.real_federation import ENVIRONMENT, NGINX

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2700),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
PLAN = Path(__file__).parents[3] / "configs" / "plan.rehearsal.yaml"
LONGEST_S = 2400.0


@dataclass
class Started:
    """A rehearsal as a process, and all processes that were seen below it."""

    out: Path
    process: subprocess.Popen[bytes]
    seen: set[psutil.Process] = field(default_factory=set)

    def said(self) -> str:
        return self.out.with_suffix(".log").read_text()

    def wait(self, over: Callable[[], object]) -> None:
        end = time.monotonic() + LONGEST_S
        while not over():
            assert time.monotonic() < end, self.said()
            if self.process.poll() is None:
                self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))
            time.sleep(0.2)

    def left(self) -> list[str]:
        """What still runs of it, or has its folder in the command line."""
        alive = [one for one in self.seen if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        named = [
            one for one in psutil.process_iter(["cmdline"]) if str(self.out) in " ".join(one.info["cmdline"] or [])
        ]
        return [" ".join(one.cmdline()) for one in [*alive, *named]]


def start(out: Path) -> Started:
    program = str(Path(sys.executable).parent / "ceus-sim")
    interruptible = ["env", "--default-signal=INT"]  # a job in the background ignores SIGINT, and what it starts, too
    words = [*interruptible, program, "rehearsal", str(PLAN), "--out", str(out)]
    with out.with_suffix(".log").open("wb") as log:
        return Started(out, subprocess.Popen(words, stdout=log, stderr=log, env=ENVIRONMENT, start_new_session=True))


def test_it_ends_with_the_report_and_leaves_nothing_running(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = start(tmp_path_factory.mktemp("r") / "out")
    made.wait(lambda: made.process.poll() is not None)
    assert made.process.returncode == 0, made.said()
    print(made.said())
    assert len(made.seen) > 20
    assert made.left() == []
    report = Path(re.findall(r"commands in .*; report: (.+)", made.said())[0])
    assert report.is_relative_to(made.out)
    assert "Privacy" in report.read_text()
    found = json.loads(report.with_name("results.json").read_text())
    assert found["finished"]
    assert found["cohorts"]["external_test_c"]["models"]["DCB"]["accuracy"]["n"] >= 30
    rounds = [json.loads(line) for line in (report.parent / "rounds.jsonl").read_text().splitlines()]
    assert len(rounds) == 6
    assert all(one["counted"] == one["asked"] == 3 for one in rounds)
    assert all(verify(folder / "records").ok for folder in (made.out / "hospitals").iterdir())
    typed = [line.split()[1] for line in made.said().splitlines() if line.startswith("$ ")]
    assert len(typed) == 23
    assert all(os.access(program, os.X_OK) for program in typed)


def test_stopped_in_the_middle_it_leaves_nothing_running(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = start(tmp_path_factory.mktemp("r") / "out")
    made.wait(lambda: "site-41: takes part: ready" in made.said() or made.process.poll() is not None)
    assert made.process.poll() is None, made.said()
    made.process.send_signal(signal.SIGINT)
    made.wait(lambda: made.process.poll() is not None)
    assert made.process.returncode == 130
    assert "stopped, with all that was started" in made.said()
    assert len(made.seen) > 10
    assert made.left() == []
    shutil.rmtree(made.out)
