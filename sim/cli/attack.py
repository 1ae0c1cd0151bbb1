"""`ceus-sim attack`: what crafted tasks bring out of phantom hospitals under a plan, at each level of privacy."""

from __future__ import annotations

import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from sim.attacks.catalogue import ATTACKS, LEVELS, Attack
from sim.attacks.hospitals import AttackedHospitals
from sim.attacks.publication import ATTACK_FILE, publish_outcomes
from sim.attacks.trial import Outcome, try_attack
from sim.hospital.prepare import PreparedHospital


class LevelName(StrEnum):
    """A level of privacy."""

    none = "none"
    sums = "sums"
    distributed = "distributed"
    local = "local"


Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Attacks by name, all without it.", show_default=False)]


def attack_command(
    plan: Annotated[Path, typer.Argument(help="The study's plan.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="A folder for hospitals and results; of a finished run, whose report gets them.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of hospitals and study.")] = 1,
    level: Annotated[list[LevelName] | None, typer.Option(help="Levels, all without it.", show_default=False)] = None,
    kind: Kinds = None,
    lesions: Annotated[int, typer.Option(min=20, help="Of the attacked hospital.")] = 114,
    workers: Annotated[int, typer.Option(min=1, help="Processes that write the hospitals.")] = 2,
) -> None:
    """Attack phantom hospitals as a curious coordinator would: what is recovered of their patients, by level."""
    console = Console()
    chosen = choose_attacks(kind)
    study = load_plan(plan)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = out or Path(scratch)
        hospitals = AttackedHospitals(folder / "attacked", study, seed)
        hospitals.prepare(lesions, workers, lambda made, _: _tell(console, made))
        outcomes: list[Outcome] = []
        for at in [one for one in LEVELS if level is None or one in level]:
            for attack in (one for one in chosen if at in one.levels):
                outcomes.append(try_attack(attack, hospitals.open(attack.cohort, at)))
                console.print(f"{at} {attack.name}: {outcomes[-1].describe()}", soft_wrap=True)
        entry = publish_outcomes(folder, study.name, seed, outcomes)
    table = Table(*(column for column in entry.columns if column != "what is asked"), title=entry.title)
    for row in entry.rows:
        table.add_row(*(str(cell) for place, cell in enumerate(row) if place != 1))
    console.print(table)
    console.print(entry.finding, soft_wrap=True)
    broken = [outcome for outcome in outcomes if outcome.breaks_claim]
    if broken:
        raise ExpectedError(f"expected ε of {broken[0].claim:.2f} at most, an audit shows {broken[0].describe()}")
    if out is not None:
        console.print(f"files: {out / ATTACK_FILE}", soft_wrap=True)


def choose_attacks(names: list[str] | None) -> list[Attack]:
    """The attacks of these names, all for none. Raises ExpectedError for a name that no attack has."""
    known = {attack.name: attack for attack in ATTACKS}
    odd = [name for name in names or () if name not in known]
    if odd:
        raise ExpectedError(f"expected attacks of {', '.join(known)}, found {odd[0]}; correct its spelling")
    return [known[name] for name in names] if names else list(ATTACKS)


def _tell(console: Console, made: PreparedHospital) -> None:
    console.print(f"{made.site}: {made.read} of {made.lesions} lesions read")
