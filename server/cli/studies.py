"""`ceus-coordinator study` add · list · remove: the studies of one federation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ceus_models.pki.enrolment import utc_now
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from server.cli.enrolment import PassphraseFile, Yes, read_passphrase
from server.cli.status import AsJson, Folder, opened, output
from server.federation.certificate_authority import is_encrypted
from server.federation.founding import set_up_federation
from server.federation.site_register import count_enrolled
from server.federation.studies import add_study, remove_study
from server.run_folder.action_log import log_action, read_actor
from server.run_folder.orders import read_state
from server.run_folder.paths import StudyFolder
from server.run_folder.studies import find_plan, find_study, list_studies, read_settings

study_app = typer.Typer(name="study", help="Add, list and remove the federation's studies.", no_args_is_help=True)


@dataclass(frozen=True)
class StudyLine:
    """A study in the list.

    Args:
        digest: of the plan.
        bundle: SHA-256 of what the sites approve, "" before `init` made it.
        least: how many sites every round needs at least.
        enrolled: sites with a key that works.
    """

    name: str
    plan: str
    digest: str
    seed: int
    stages: tuple[str, ...]
    phase: str
    bundle: str
    least: int
    enrolled: int


@study_app.command("add")
def add_command(
    folder: Folder,
    plan: Annotated[Path, typer.Argument(help="The study's plan, which is copied.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Of the study [default: the plan's].", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Of the study [default: 1].")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Add a study with a plan, a bundle and a run of its own, or change the plan of one that was added."""
    home, _ = opened(folder)
    secret = read_passphrase(passphrase_file, ask=is_encrypted(home))
    with log_action(home, read_actor(), "add study", name or load_plan(plan).name, str(plan)):
        study, steps = add_study(home, plan, name, seed, utc_now())
        made = set_up_federation(home.folder, secret, utc_now())
    out = output()
    for line in (*steps, *(one for one in made.told if f" of {study.name}:" in one)):
        out.print(escape(line), soft_wrap=True)
    what = f"send {study.bundle} to the sites; each runs `ceus-site approve FOLDER bundle.fab`"
    out.print(escape(what), soft_wrap=True)


@study_app.command("list")
def list_command(folder: Folder, as_machine: AsJson = False) -> None:
    """Show each study with its plan, stages, phase and bundle."""
    home, _ = opened(folder)
    lines = [_describe(study) for study in list_studies(home)]
    if as_machine:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    table = Table("study", "plan", "stages", "run", "sites", "bundle, SHA-256")
    for line in lines:
        about = f"{line.plan} {line.digest[:12]}, seed {line.seed}"
        sites = f"{line.enrolled} enrolled, at least {line.least}"
        table.add_row(*map(escape, (line.name, about, ", ".join(line.stages), line.phase, sites, line.bundle[:16])))
    output().print(table)


@study_app.command("remove")
def remove_command(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The study to remove.", show_default=False)],
    yes: Yes = False,
) -> None:
    """Take a study out of the federation; its folder with all results is kept below `removed`."""
    home, _ = opened(folder)
    study = find_study(home, name)
    if not yes and not typer.confirm(f"Remove {study.name}, of which the run is {read_state(study).phase}?"):
        raise ExpectedError("the study was not removed; nothing has changed")
    with log_action(home, read_actor(), "remove study", study.name):
        aside = remove_study(study, utc_now())
    out = output()
    out.print(f"removed {escape(name)}; its plan, bundle and results lie in {escape(str(aside))}", soft_wrap=True)
    out.print("each site may take its approval back: ceus-site disapprove FOLDER SHA-256", soft_wrap=True)


def _describe(study: StudyFolder) -> StudyLine:
    plan = load_plan(find_plan(study))
    return StudyLine(
        name=study.name,
        plan=plan.name,
        digest=plan.digest(),
        seed=read_settings(study).seed,
        stages=tuple(stage.name for stage in plan.stages),
        phase=read_state(study).phase,
        bundle=hashlib.sha256(study.bundle.read_bytes()).hexdigest() if study.bundle.exists() else "",
        least=max(plan.least_sites().values()),
        enrolled=count_enrolled(study.home),
    )
