"""An age is of the machine's own clock, or by the wall clock where it can be right, or unknown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ceus_models.runtime.humanize import format_age
from ceus_models.runtime.liveness.moment import Moment, compute_age, read_clock

THEN = Moment(9000.0, 100.0, "a")


@pytest.mark.parametrize(
    ("now", "age"),
    [
        (Moment(9060.0, 160.0, "a"), 60.0),
        (Moment(1.0, 160.0, "a"), 60.0),  # set back
        (Moment(1e9, 160.0, "a"), 60.0),  # set forward
        (Moment(9060.0, 5.0, "b"), 60.0),  # another machine, or another start of this one
        (Moment(8998.0, 5.0, "b"), 0.0),  # two machines' clocks
        (Moment(8000.0, 5.0, "b"), None),
        (Moment(8000.0), None),
        (Moment(9060.0, 40.0, "a"), 60.0),  # a container with a clock of its own
    ],
)
def test_the_age_is_the_machines_or_doubted(now: Moment, age: float | None) -> None:
    assert compute_age(THEN, now) == age


def test_an_unknown_age_is_said_and_is_never_zero() -> None:
    assert "unknown time" in format_age(compute_age(THEN, Moment(8000.0)))


def test_processes_of_a_machine_share_the_clock() -> None:
    code = "from ceus_models.runtime.liveness.moment import read_clock; m = read_clock(); print(m.running, m.boot)"
    before = read_clock()
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    after = read_clock()
    assert before.running <= float(said[0]) <= after.running
    assert said[1:] == [before.boot]
    assert before.boot
