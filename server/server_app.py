"""The Flower ServerApp: it runs the coordinator with the settings of a run until the plan is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from ceus_models.runtime.errors import ExpectedError, stack_of
from server.rounds.checkpoints import Store
from server.rounds.coordinator import run
from server.rounds.events import Answered, Event, Finished
from server.rounds.round_log import Rounds
from server.run_folder.heartbeat import COORDINATOR, Pulse
from server.run_folder.journal import Journal
from server.study.plan import load_plan
from server.transport.flower_link import SuperLinkLost, flower_link
from server.transport.message_log import Mirror

app = ServerApp()


@dataclass(frozen=True)
class Settings:
    """A run's settings. out: the run's folder; sites: how many to wait for before the study starts."""

    plan: Path
    out: Path
    seed: int
    sites: int


def settings_of(run_config: Mapping[str, str | int | float | bool]) -> Settings:
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


def doing(event: Event) -> str:
    """Describe the coordinator's activity after an event."""
    if isinstance(event, Finished):
        return f"saving round {event.record.round} of {event.record.stage}"
    asked = f"round {event.round} of {event.stage}"
    return f"{asked}: {event.done} of {event.asked} answered" if isinstance(event, Answered) else f"{asked}: asking"


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the whole study; its checkpoints and its journal are in the run's folder."""
    settings = settings_of(context.run_config)
    journal, rounds, pulse = Journal(settings.out), Rounds(settings.out), Pulse(settings.out / COORDINATOR)

    def tell(event: Event) -> None:
        pulse.beat(doing(event))
        journal.tell(event)
        rounds.tell(event)

    try:
        plan = load_plan(settings.plan)
        check_approved(context.run_config, plan.digest())
        with journal.held():
            pulse.beat(f"waiting for {settings.sites} sites to connect")
            link = flower_link(grid, settings.sites, plan.deadlines, Mirror(settings.out), alive=pulse.beat)
            run(plan, link, Store(settings.out), settings.seed, tell, journal.stop_asked)
    except ExpectedError as error:
        journal.fail(str(error), passing=isinstance(error, SuperLinkLost))
        raise
    except OSError as error:
        journal.fail(
            f"{error.filename or 'a file of the run'}: {error.strerror or type(error).__name__}; make room, "
            "or repair the disk, then start the same command again"
        )
        raise
    except MemoryError:
        journal.fail("the coordinator ran out of memory: give it more, then start the same command again")
        raise
    except Exception as error:
        journal.fail(f"a bug: {type(error).__name__} at {stack_of(error)[-1]}")
        raise
