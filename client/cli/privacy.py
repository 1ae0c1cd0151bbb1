"""`ceus-site privacy show | verify`: what was spent of each patient's privacy, in words and as a picture."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import load_site
from client.policy.policy_file import load_policy
from client.worker.audit.verify import verify
from client.worker.privacy.budget import BUDGET, BudgetLedger
from client.worker.privacy.spending import StudySpending, describe_certainty, summarize_spending
from client.worker.privacy.spending_picture import draw_spending

app = typer.Typer(name="privacy", help="What was spent of each patient's privacy.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)]
_COLUMNS = ("study", "patients of", "rounds", "ε spent", "cap", "ε alone", "rounds left")


@app.command("show")
def show_command(
    folder: Folder,
    picture: Annotated[Path | None, typer.Option(help="Draw it as well: a new file that ends in .png.")] = None,
    as_machine: Annotated[bool, typer.Option("--json", help="JSON on standard output, for a machine.")] = False,
) -> None:
    """What each study has spent, the hospital's cap, what remains, and what that means for one patient."""
    site, policy = load_site(folder), load_policy(folder)
    names = {digest: name for name, digest in (policy.studies or {}).items()}
    rows, lifetime = summarize_spending(BudgetLedger(site.records).charges(), policy.privacy)
    if picture is not None:
        _draw(picture, rows, names, lifetime, policy.privacy.lifetime_epsilon)
    if as_machine:
        typer.echo(json.dumps({"studies": [asdict(row) for row in rows], "lifetime_epsilon": lifetime}, indent=2))
        return
    out = Console(highlight=False)
    if not rows:
        out.print("No study has asked this site for noised answers, so no privacy budget was spent.", soft_wrap=True)
        return
    table = Table(*_COLUMNS)
    for row in rows:
        left = "-" if row.rounds_left is None else str(row.rounds_left)
        cells = (row.cohort, str(row.rounds), f"{row.epsilon:.2f}", f"{row.cap:g}", f"{row.own_epsilon:.2f}", left)
        table.add_row(escape(names.get(row.study, f"{row.study[:12]}…")), *cells)
    out.print(table)
    most = max(rows, key=lambda row: row.epsilon)
    out.print(describe_certainty(most.epsilon), soft_wrap=True)
    cap = f"{policy.privacy.lifetime_epsilon:g}, at δ {policy.privacy.delta:g}"
    out.print(f"Over all studies: ε {lifetime:.2f} of {cap}.", soft_wrap=True)
    out.print("ε alone: the same if all other hospitals told the coordinator their noise.", soft_wrap=True)


@app.command("verify")
def verify_command(folder: Folder) -> None:
    """Walk the ledger's chain; tell every line that was changed, removed, added or put out of order."""
    try:
        verdict = verify(load_site(folder).records, BUDGET)
    except OSError as error:
        raise ExpectedError(f"the ledger cannot be read ({error.strerror}); run this as the worker's user") from None
    for finding in verdict.findings:
        typer.echo(str(finding))
    typer.echo(f"{verdict.entries} entries: {'as they were written' if verdict.ok else 'changed'}")
    raise typer.Exit(0 if verdict.ok else 1)


def _draw(path: Path, rows: list[StudySpending], names: dict[str, str], lifetime: float, cap: float) -> None:
    if path.suffix != ".png":
        raise ExpectedError(f"expected a picture's file that ends in .png, found {path.name}; choose another name")
    try:
        write_atomically(path, draw_spending(rows, names, lifetime, cap))
    except OSError as error:
        raise ExpectedError(f"the picture cannot be written ({error.strerror}); choose another place") from None
