"""Every way in which a run can be dead is said by what lies in the folder, within a minute: in made-up time."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from made_federation import NOW, lab
from rich.console import Console

from server.federation.expiry import validity
from server.federation.federation_file import load_federation
from server.federation.site_register import read_register
from server.operations.liveness import Seen, Trouble, coordinator_pulse, trouble_of
from server.operations.overview import overview
from server.operations.status_text import print_status
from server.run_folder.heartbeat import COORDINATOR, SILENT_S, Pulse
from server.run_folder.orders import OVER, State, order_run, write_state
from server.run_folder.paths import Home

NOON = 1.8e9
RUNNING = State(order="x", phase="running", run=1, at=NOON)
SITES = frozenset({"site-01"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return lab(tmp_path / "co").home


def beats(home: Home, up_at: float | None, coordinator_at: float | None, doing: str = "", trouble: str = "") -> None:
    """Signs of life at these moments."""
    for pulse, path, at, said in (
        (Pulse(home.up_pulse), home.up_pulse, up_at, trouble),
        (coordinator_pulse(home), home.run / COORDINATOR, coordinator_at, doing),
    ):
        if at is not None:
            pulse.beat(said)
            os.utime(path, (at, at))


WELL = Seen(True, SITES, NOON)


def said(home: Home, state: State, later_s: float, seen: Seen = WELL) -> str:
    trouble = trouble_of(home, state, replace(seen, moment=NOON + later_s))
    return trouble.said if trouble else ""


def test_a_run_that_gets_on_has_no_trouble(home: Home) -> None:
    beats(home, NOON + 58, NOON + 20, "round 3 of submodels: asking")
    assert said(home, RUNNING, 60) == ""


@pytest.mark.parametrize("phase", [*OVER, "none"])
def test_one_that_is_over_or_was_never_ordered_has_none(home: Home, phase: str) -> None:
    assert said(home, RUNNING.model_copy(update={"phase": phase}), 1e6, Seen(False, None, NOON)) == ""


def test_up_that_ended_is_said_at_once_whatever_the_state_says(home: Home) -> None:
    for phase in ("waiting", "starting", "running", "stopping"):
        state = RUNNING.model_copy(update={"phase": phase})
        assert "up` has ended" in said(home, state, 1, Seen(False, None, NOON))


def test_up_that_hangs_is_said_within_a_minute(home: Home) -> None:
    beats(home, NOON, NOON + 59)
    assert said(home, RUNNING, SILENT_S - 1) == ""
    assert "up` gives no sign of life" in said(home, RUNNING, 60)


def test_what_hinders_up_is_said_as_it_says_it(home: Home) -> None:
    beats(home, NOON + 59, NOON + 59, trouble="the SuperLink at 127.0.0.1:9 failed on a request (ReadTimeout)")
    assert "ReadTimeout" in said(home, RUNNING, 60)


def test_a_coordinator_that_hangs_is_said_with_what_it_did_last(home: Home) -> None:
    beats(home, NOON + 59, NOON + 10, "saving round 3 of submodels")
    assert said(home, RUNNING, 10 + SILENT_S - 1) == ""
    assert "last was at: saving round 3 of submodels" in said(home, RUNNING, 60)
    assert "no sign of life" in said(home, RUNNING.model_copy(update={"phase": "stopping"}), 60)


def test_one_that_hangs_before_its_first_sign_is_said_too(home: Home) -> None:
    beats(home, NOON + 59, None)
    assert "no sign of life of the coordinator's process" in said(home, RUNNING, 60)


def test_a_run_that_nobody_takes_or_that_does_not_begin_is_said(home: Home) -> None:
    beats(home, NOON + 59, None)
    starting = RUNNING.model_copy(update={"phase": "starting"})
    assert said(home, starting, SILENT_S - 1) == ""
    assert said(home, starting, 60) == "nothing has begun to work on it"
    cause = {"phase": "waiting", "cause": "started again: its process was killed, or ran out of memory"}
    assert "its process was killed" in said(home, RUNNING.model_copy(update=cause), 1)


def test_a_run_without_any_site_is_said(home: Home) -> None:
    beats(home, NOON + 59, NOON + 59)
    assert "no site is connected" in said(home, RUNNING, 60, Seen(True, frozenset(), NOON))
    assert said(home, RUNNING, 60, Seen(True, None, NOON)) == ""


def test_status_shows_it_on_the_page_and_to_machines(home: Home) -> None:
    order = order_run(home)
    write_state(home, RUNNING.model_copy(update={"order": order.id}))
    valid = validity(home, load_federation(home.federation), read_register(home), NOW)
    found = overview(home, False, None, ["site-01"])
    assert isinstance(found.trouble, Trouble)
    out = io.StringIO()
    print_status(found, valid, Console(file=out, width=300))
    assert "run: running" in out.getvalue()
    assert "not getting on, since" in out.getvalue()
    assert "start it again" in out.getvalue()
    assert "start it again" in found.as_json(valid)["run"]["trouble"]["said"]
