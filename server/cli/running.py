"""`ceus-coordinator` up · run · stop · preflight: a federation at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ceus_models.pki.enrolment import utc_now
from ceus_models.plan.plan import Plan, format_least
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from ceus_models.runtime.findings import print_findings
from ceus_models.runtime.liveness.moment import read_clock
from ceus_models.runtime.supervisor import log_event
from server.cli.status import AsJson, Folder, StudyName, opened, output
from server.notices.standing import check_notices
from server.operations.actions.runs import check_startable, start_run, stop_run
from server.operations.daemon import check_complete, find_front_fault, find_nginx, run_daemon
from server.operations.estimate import Estimate, estimate_run
from server.operations.health import require_up
from server.operations.liveness import Observations, find_trouble
from server.operations.preflight import Subject, run_preflight
from server.operations.status_text import format_trouble
from server.report.publish import REPORT
from server.rounds.events import Answered, Event, Finished, Started
from server.rounds.round_log import RoundLog, build_line, round_key
from server.rounds.trackers import TrackerName, TrackerSync, open_tracker
from server.run_folder.action_log import read_actor
from server.run_folder.journal import Journal
from server.run_folder.orders import FINAL_PHASES, State, find_predecessor, read_state
from server.run_folder.paths import StudyFolder
from server.run_folder.studies import find_study, list_studies

_LOOK_S = 0.5
_TAKEN_S = 30.0  # so long may `up` take to see an order


def up_command(
    folder: Folder,
    front_door: Annotated[bool, typer.Option("--front-door", help="Keep the front door, nginx, going too.")] = False,
) -> None:
    """Start SuperLink and SuperExec, keep them going, and do what `run` and `stop` order. One JSON line an event."""
    home, federation = opened(folder)
    check_complete(home)
    if fault := find_front_fault(home):
        raise ExpectedError(f"the front door's configuration is refused by nginx: {fault}; run `ceus-coordinator init`")
    if find_nginx() is None and not front_door:
        log_event({"event": "trouble", "said": "no nginx here: the front door must run elsewhere, or install nginx"})
    run_daemon(home, federation, log_event, front_door)


def run_command(
    folder: Folder,
    study: StudyName = None,
    after: Annotated[
        str | None, typer.Option("--after", help="Begin when this study is over.", show_default=False)
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow it.")] = False,
    track: Annotated[
        TrackerName | None, typer.Option(help="Also bring the metrics of every round to this, if installed.")
    ] = None,
) -> None:
    """Run the study, or go on with it, and follow it; results and report at its end. Ctrl-C leaves it running."""
    home, _ = opened(folder)
    chosen = find_study(home, study)
    if detach and track:
        raise ExpectedError(
            "--track follows the run, --detach does not: leave one out; a later `run --track` catches up"
        )
    plan = check_startable(chosen)
    events = Journal(chosen.run).follow(from_now=True)
    with open_tracker(track, chosen.run) as board:
        order = start_run(chosen, read_actor(), find_study(home, after).name if after else "")
        if detach:
            return
        out = output()
        out.print(
            f"study {escape(plan.name)}, {len(plan.stages)} stages of {format_least(plan)}; "
            f"checkpoints in {chosen.run}",
            soft_wrap=True,
        )
        if before := find_predecessor(chosen):
            out.print(f"it begins when {before.name} is over (Ctrl-C does not take the order back)")
        _wait_for_order(chosen, order.id)
        state = _follow_run(chosen, lambda: _print_new(events, out, board, partial(_estimate, plan, chosen.run)))
    if state.phase != "done":
        raise ExpectedError(f"the run {state.phase}: {state.cause}. `ceus-coordinator run` goes on from the last round")
    out.print(f"done; report: {escape(str(chosen.run / REPORT))}", soft_wrap=True)


def stop_command(
    folder: Folder,
    study: StudyName = None,
    at_once: Annotated[bool, typer.Option("--now", help="Do not wait for the round's end.")] = False,
) -> None:
    """End the run after the round under way; `run` goes on from there. SuperLink and sites stay up."""
    home, _ = opened(folder)
    chosen = find_study(home, study)
    stop_run(chosen, at_once, read_actor())
    output().print("the round under way is the last; waiting for its end (Ctrl-C does not take the order back)")
    state = _follow_run(chosen, lambda: None)
    output().print(f"{state.phase}: {escape(state.cause)}" if state.cause else state.phase, soft_wrap=True)


def preflight_command(folder: Folder, study: StudyName = None, as_machine: AsJson = False) -> None:
    """Look whether everything is ready for the sites: each failure with its remedy. Exit 1 if anything fails."""
    home, federation = opened(folder)
    studies = (find_study(home, study),) if study else list_studies(home)
    found = run_preflight(Subject(home, federation, utc_now(), studies))
    raise typer.Exit(print_findings(chain(found, check_notices(home, is_held(home.up_lock))), as_machine))


def _wait_for_order(study: StudyFolder, order: str) -> None:
    end = time.monotonic() + _TAKEN_S
    while read_state(study).order != order:
        require_up(study.home)
        if time.monotonic() > end:
            raise ExpectedError(f"`up` did not take the order within {_TAKEN_S:.0f} s; read what it says")
        time.sleep(_LOOK_S)


def _follow_run(study: StudyFolder, look: Callable[[], None]) -> State:
    """The state at the end of the run; what hinders it is said as it begins. Raises ExpectedError if `up` ends."""
    told = ""
    while True:
        state = read_state(study)
        look()
        if state.phase in FINAL_PHASES:
            return state
        require_up(study.home)
        trouble = find_trouble(study, state, Observations(True, None, read_clock()))
        if trouble and trouble.said != told:
            output().print(escape(f"  {format_trouble(trouble)}"), soft_wrap=True)
        told = trouble.said if trouble else ""
        time.sleep(_LOOK_S)


def _estimate(plan: Plan, run: Path, event: Finished) -> Estimate:
    """From the rounds so far, of which the last may not be written yet."""
    lines = {round_key(line): line for line in (*RoundLog(run).read(), build_line(event))}
    return estimate_run(plan, lines.values())


def _print_new(
    events: Iterator[Event | None], out: Console, board: TrackerSync | None, estimate: Callable[[Finished], Estimate]
) -> None:
    if board is not None:
        board.catch_up()
    while event := next(events):
        if isinstance(event, Started):
            what = f"{event.kind}, {len(event.nets)} nets" if event.nets else event.kind
            out.print(escape(f"{event.stage} {event.step + 1}/{event.steps}: {what}, {len(event.sites)} sites asked"))
        elif isinstance(event, Answered) and event.fate in ("refused", "excluded", "lost"):
            out.print(escape(f"  {event.site} {event.fate}: {event.reason}"), soft_wrap=True)
        elif isinstance(event, Finished):
            out.print(f"  {len(event.record.counted)} sites counted, {event.record.seconds:.1f} s; {estimate(event)}")
