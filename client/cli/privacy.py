"""`ceus-site privacy` and `restored`: what was spent of each patient's privacy, also where records came from a copy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ceus_models.runtime.account import read_account
from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.terminal import Terminal, say
from client.data.forms.site_config import SiteConfig, load_site
from client.data.forms.withdrawals import read_withdrawals
from client.policy.approved_studies import read_approved
from client.policy.policy_file import load_policy
from client.service.studies import list_names
from client.worker.audit.verify import verify
from client.worker.privacy.budget import BUDGET, BudgetLedger
from client.worker.privacy.plan_binding import PlanBinding
from client.worker.privacy.spending import StudySpending, charge_restored, describe_certainty, summarize_spending
from client.worker.privacy.spending_picture import draw_spending
from client.worker.site.opt_out import read_participation
from client.worker.site.restored_records import declare_restored

app = typer.Typer(name="privacy", help="What was spent of each patient's privacy.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)]
_LEAST_WORDS = 20  # characters
_COLUMNS = ("study", "patients of", "rounds", "ε spent", "cap", "ε alone", "rounds left")


@app.command("show")
def show_command(
    folder: Folder,
    picture: Annotated[Path | None, typer.Option(help="Draw it as well: a new file that ends in .png.")] = None,
    as_machine: Annotated[bool, typer.Option("--json", help="JSON on standard output, for a machine.")] = False,
) -> None:
    """What each study has spent, the hospital's cap, what remains, and what that means for one patient."""
    site, policy = load_site(folder), load_policy(folder)
    names = list_names(site, policy)
    rows, lifetime = summarize_spending(BudgetLedger(site.records).charges(), policy.privacy)
    if picture is not None:
        _draw(picture, rows, names, lifetime, policy.privacy.lifetime_epsilon)
    if as_machine:
        typer.echo(json.dumps({"studies": [asdict(row) for row in rows], "lifetime_epsilon": lifetime}, indent=2))
        return
    out = Terminal()
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
        say(str(finding))
    say(f"{verdict.entries} entries: {'as they were written' if verdict.ok else 'changed'}")
    raise typer.Exit(0 if verdict.ok else 1)


def _draw(path: Path, rows: list[StudySpending], names: dict[str, str], lifetime: float, cap: float) -> None:
    if path.suffix != ".png":
        raise ExpectedError(f"expected a picture's file that ends in .png, found {path.name}; choose another name")
    try:
        write_atomically(path, draw_spending(rows, names, lifetime, cap))
    except OSError as error:
        raise ExpectedError(f"the picture cannot be written ({error.strerror}); choose another place") from None


def restored_command(
    folder: Folder,
    because: Annotated[str, typer.Option(help="What happened, and who decided; it stands in the audit.")],
    rounds: Annotated[
        int | None,
        typer.Option(min=0, help="Rounds of each plan answered by now, as the coordinator says [default: all]."),
    ] = None,
) -> None:
    """After records/ came back from a copy: charge what the ledger may have lost, say so in the audit, answer again."""
    site = load_site(folder)
    if len(because.strip()) < _LEAST_WORDS:
        raise ExpectedError(
            f"--because needs {_LEAST_WORDS} characters or more that say what happened and who decided, found "
            f"{len(because.strip())}"
        )
    _charge(site, rounds)
    declare_restored(site.records, read_account(), because.strip())
    say("written down: this site answers again, and the coordinator is told that its records came back")
    standing, withdrawn = read_participation(site.records), len(read_withdrawals(site.records))
    paused = f"paused since {standing.paused}" if standing.paused else "not paused"
    left = f"withdrawn from {len(standing.withdrawn)} studies" if standing.withdrawn else "withdrawn from no study"
    say(
        f"by these records the site is {paused} and {left}, and {withdrawn} patients were forgotten; approved are "
        f"{', '.join(dict.fromkeys(read_approved(site.records).in_force().values())) or 'no studies'}. What was said "
        "since the copy was made is lost: say it again (`pause`, `withdraw`, `forget`, `disapprove`)"
    )


def _charge(site: SiteConfig, rounds: int | None) -> None:
    levels, ledger = load_policy(site.folder).privacy, BudgetLedger(site.records)
    plans = PlanBinding(site.records / "plans").list_plans()
    charged = sum(charge_restored(ledger, plan, levels, rounds) for plan in plans)
    if charged:
        say(f"{charged} rounds were charged as if they had been answered; `ceus-site privacy show` has the sum.")
    else:
        say("Nothing was charged: the ledger holds all rounds that a private plan of this site can have had.")
