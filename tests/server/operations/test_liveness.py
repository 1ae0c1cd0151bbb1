"""Every way in which a run can be dead is said by what lies in the folder, within a minute: in made-up time."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from made_federation import NOW, lab
from rich.console import Console

from ceus_models.runtime.liveness.heartbeat import SILENT_S, Heartbeat
from ceus_models.runtime.liveness.moment import Moment, compute_age
from server.federation.expiry import summarize_validity
from server.federation.federation_file import load_federation
from server.federation.site_register import read_register
from server.operations.liveness import Observations, Trouble, coordinator_heartbeat, find_trouble
from server.operations.overview import build_overview
from server.operations.snapshot import Snapshot
from server.operations.status_text import format_trouble, print_status
from server.run_folder.orders import FINAL_PHASES, State, order_run, write_state
from server.run_folder.paths import StudyFolder

NOON = 1.8e9
RUNNING = State(order="x", phase="running", run=1, at=NOON + 7200, running=1000.0, boot="a")
SITES = frozenset({"site-01"})


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return lab(tmp_path / "co").study


def moment(at: float) -> Moment:
    """By the machine's clock; the wall clock was two hours ahead until noon."""
    return Moment(at + 7200 if at <= NOON else at, at - NOON + 1000.0, "a")


def beats(
    study: StudyFolder, up_at: float | None, coordinator_at: float | None, doing: str = "", trouble: str = ""
) -> None:
    """Signs of life at these moments."""
    for pulse, at, said in (
        (Heartbeat(study.home.up_heartbeat), up_at, trouble),
        (coordinator_heartbeat(study), coordinator_at, doing),
    ):
        if at is not None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("ceus_models.runtime.liveness.heartbeat.read_clock", partial(moment, at))
                pulse.beat(said)


WELL = Observations(True, SITES, moment(NOON))


def said(study: StudyFolder, state: State, later_s: float, seen: Observations = WELL) -> str:
    trouble = find_trouble(study, state, replace(seen, moment=moment(NOON + later_s)))
    return trouble.said if trouble else ""


def test_a_run_that_gets_on_has_no_trouble(study: StudyFolder) -> None:
    beats(study, NOON + 58, NOON + 20, "round 3 of submodels: asking")
    assert said(study, RUNNING, 60) == ""


@pytest.mark.parametrize("phase", [*FINAL_PHASES, "none"])
def test_one_that_is_over_or_was_never_ordered_has_none(study: StudyFolder, phase: str) -> None:
    assert said(study, RUNNING.model_copy(update={"phase": phase}), 1e6, Observations(False, None, moment(NOON))) == ""


def test_up_that_ended_is_said_at_once_whatever_the_state_says(study: StudyFolder) -> None:
    for phase in ("waiting", "starting", "running", "stopping"):
        state = RUNNING.model_copy(update={"phase": phase})
        assert "up` has ended" in said(study, state, 1, Observations(False, None, moment(NOON)))


def test_up_that_hangs_is_said_within_a_minute(study: StudyFolder) -> None:
    beats(study, NOON, NOON + 59)
    assert said(study, RUNNING, SILENT_S - 1) == ""
    assert "up` gives no sign of life" in said(study, RUNNING, 60)


def test_what_hinders_up_is_said_as_it_says_it(study: StudyFolder) -> None:
    beats(study, NOON + 59, NOON + 59, trouble="the SuperLink at 127.0.0.1:9 failed on a request (ReadTimeout)")
    assert "ReadTimeout" in said(study, RUNNING, 60)


def test_a_coordinator_that_hangs_is_said_with_what_it_did_last(study: StudyFolder) -> None:
    beats(study, NOON + 59, NOON + 10, "saving round 3 of submodels")
    assert said(study, RUNNING, 10 + SILENT_S - 1) == ""
    assert "last was at: saving round 3 of submodels" in said(study, RUNNING, 60)
    assert "no sign of life" in said(study, RUNNING.model_copy(update={"phase": "stopping"}), 60)


def test_one_that_hangs_before_its_first_sign_is_said_too(study: StudyFolder) -> None:
    beats(study, NOON + 59, None)
    assert "no sign of life of the coordinator's process" in said(study, RUNNING, 60)


def test_a_run_that_nobody_takes_or_that_does_not_begin_is_said(study: StudyFolder) -> None:
    beats(study, NOON + 40, None)
    starting = RUNNING.model_copy(update={"phase": "starting"})
    assert said(study, starting, SILENT_S - 1) == ""
    assert said(study, starting, 60) == "nothing has begun to work on it"
    cause = {"phase": "waiting", "cause": "started again: its process was killed, or ran out of memory"}
    assert "its process was killed" in said(study, RUNNING.model_copy(update=cause), 41)


def test_a_run_without_any_site_is_said(study: StudyFolder) -> None:
    beats(study, NOON + 59, NOON + 59)
    assert "no site is connected" in said(study, RUNNING, 60, Observations(True, frozenset(), moment(NOON)))
    assert said(study, RUNNING, 60, Observations(True, None, moment(NOON))) == ""


def test_a_time_that_was_ahead_is_no_sign_of_life(study: StudyFolder) -> None:
    beats(study, NOON, NOON)
    assert "up` gives no sign of life" in said(study, RUNNING, 60)
    trouble = find_trouble(study, RUNNING, replace(WELL, moment=moment(NOON + 60)))
    assert trouble is not None
    assert trouble.for_s == 60.0
    assert "(60 s)" in format_trouble(trouble)
    other = Moment(NOON, 5.0, "b")  # another machine, or another start
    trouble = find_trouble(study, RUNNING, replace(WELL, moment=other))
    assert trouble is not None
    assert compute_age(moment(NOON), other) is None
    assert "the clock was set back since" in format_trouble(trouble)


def test_status_shows_it_on_the_page_and_to_machines(study: StudyFolder) -> None:
    order = order_run(study)
    write_state(study, RUNNING.model_copy(update={"order": order.id}))
    home = study.home
    valid = summarize_validity(home, load_federation(home.federation), read_register(home), NOW)
    found = build_overview(study, False, None, ["site-01"])
    assert isinstance(found.trouble, Trouble)
    out = io.StringIO()
    print_status(Snapshot(valid, False, {"tiny": found}), Console(file=out, width=300))
    assert "run: running" in out.getvalue()
    assert "not getting on, since" in out.getvalue()
    assert "start it again" in out.getvalue()
    assert "start it again" in found.as_json(valid)["run"]["trouble"]["said"]
