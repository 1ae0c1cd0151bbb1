"""The Flower ServerApp: it runs the coordinator with the settings of a run until the plan is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import DiskFullError, ExpectedError, is_disk_full, list_calls
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from server.rounds.coordinator import run
from server.rounds.events import Answered, Event, Finished
from server.rounds.round_log import RoundLog
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import COORDINATOR, Journal
from server.run_folder.studies import find_home, list_runs
from server.transport.audit_marks import AuditMarks
from server.transport.flower_link import SuperLinkLost, flower_link
from server.transport.message_log import MessageLog

app = ServerApp()


@dataclass(frozen=True)
class Settings:
    """A run's settings. out: the run's folder; sites: how many to wait for before the study starts."""

    plan: Path
    out: Path
    seed: int
    sites: int


def parse_settings(run_config: Mapping[str, str | int | float | bool]) -> Settings:
    """Parse Flower's run configuration, whose types Flower does not check. Raises ExpectedError."""
    kinds = {"plan": str, "out": str, "seed": int, "sites": int}
    wrong = [f"{key} must be {kind.__name__}" for key, kind in kinds.items() if type(run_config.get(key)) is not kind]
    if wrong:
        raise ExpectedError(f"the run's settings are incomplete: {', '.join(wrong)}")
    seed, sites = run_config["seed"], run_config["sites"]
    return Settings(Path(str(run_config["plan"])), Path(str(run_config["out"])), int(seed), int(sites))


def check_approved(run_config: Mapping[str, str | int | float | bool], digest: str) -> None:
    """Raise ExpectedError unless the plan is the one in the approved bundle ("": not in any)."""
    approved = run_config.get("plan-digest") or digest
    if approved != digest:
        raise ExpectedError(
            f"the plan's digest must be that of the approved bundle, {str(approved)[:16]}, found {digest[:16]}: run "
            "`ceus-coordinator init`, send the sites the new bundle, and start again when they have approved it"
        )


def describe_event(event: Event) -> str:
    """Describe the coordinator's activity after an event."""
    if isinstance(event, Finished):
        return f"saving round {event.record.round} of {event.record.stage}"
    asked = f"round {event.round} of {event.stage}"
    return f"{asked}: {event.done} of {event.asked} answered" if isinstance(event, Answered) else f"{asked}: asking"


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the whole study; its checkpoints and its journal are in the run's folder."""
    settings = parse_settings(context.run_config)
    journal, rounds, pulse = Journal(settings.out), RoundLog(settings.out), Heartbeat(settings.out / COORDINATOR)

    def tell(event: Event) -> None:
        pulse.beat(describe_event(event))
        journal.append(event)
        rounds.append(event)

    try:
        plan = load_plan(settings.plan)
        check_approved(context.run_config, plan.digest())
        with journal.hold():
            pulse.beat(f"waiting for {settings.sites} sites to connect")
            link = flower_link(grid, settings.sites, plan.deadlines, MessageLog(settings.out), alive=pulse.beat)
            if home := find_home(settings.out):
                link.audits.others = AuditMarks(partial(list_runs, home)).read
            run(plan, link, Store(settings.out), settings.seed, tell, journal.is_stop_requested)
    except ExpectedError as error:
        journal.write_failure(str(error), isinstance(error, SuperLinkLost), isinstance(error, DiskFullError))
        raise
    except OSError as error:
        journal.write_failure(
            f"{error.filename or 'a file of the run'}: {error.strerror or type(error).__name__}; make room, "
            "or repair the disk, then start the same command again",
            room=is_disk_full(error),
        )
        raise
    except MemoryError:
        journal.write_failure("the coordinator ran out of memory: give it more, then start the same command again")
        raise
    except Exception as error:
        journal.write_failure(f"a bug: {type(error).__name__} at {list_calls(error)[-1]}")
        raise
