"""Progress without a terminal: a line now and then, with an estimate that goes by what was done lately."""

from __future__ import annotations

import io
import os
import signal

import pytest

from ceus_models.runtime.humanize import format_duration
from ceus_models.runtime.progress_bar import ProgressLines, show_progress, stop_on_sigterm


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_few_seconds_and_one_at_the_end() -> None:
    clock, out = Clock(), io.StringIO()
    lines = ProgressLines("indexing", out, clock)
    for done in range(1, 101):
        clock.now += 0.5
        lines(done, 100)
    told = out.getvalue().splitlines()
    assert len(told) == 10
    assert told[0] == "indexing: 10 of 100, about 45 s left"
    assert told[-1] == "indexing: 100 of 100"


def test_what_came_from_the_cache_at_once_does_not_make_the_estimate_hopeful() -> None:
    clock, out = Clock(), io.StringIO()
    lines = ProgressLines("indexing", out, clock)
    for done in range(1, 901):
        lines(done, 1000)
    for done in range(901, 951):
        clock.now += 10.0
        lines(done, 1000)
    assert out.getvalue().splitlines()[-1] == "indexing: 950 of 1000, about 8 min left"


@pytest.mark.parametrize(("seconds", "told"), [(12.4, "12 s"), (300, "5 min"), (9000, "2.5 h")])
def test_spans_are_told_in_the_unit_that_fits(seconds: float, told: str) -> None:
    assert format_duration(seconds) == told


def test_sigterm_ends_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stop_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_progress_goes_to_standard_error_or_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("indexing") as on_progress:
        on_progress(3, 3)
    assert capsys.readouterr() == ("", "indexing: 3 of 3\n")
    with show_progress("indexing", quiet=True) as on_progress:
        on_progress(3, 3)
    assert capsys.readouterr() == ("", "")
