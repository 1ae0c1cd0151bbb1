"""`ceus-site restored`: the hospital says that its records came back from a copy, for audit and ledger at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import SiteConfig, load_site
from client.data.forms.withdrawals import read_withdrawals
from client.policy.policy_file import load_policy
from client.worker.privacy.budget import BudgetLedger
from client.worker.privacy.plan_binding import PlanBinding
from client.worker.privacy.spending import charge_restored
from client.worker.site.opt_out import read_participation
from client.worker.site.restored_records import declare_restored

_LEAST_WORDS = 20


def restored_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)],
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
    typer.echo("written down: this site answers again, and the coordinator is told that its records came back")
    standing, withdrawn = read_participation(site.records), len(read_withdrawals(site.records))
    paused = f"paused since {standing.paused}" if standing.paused else "not paused"
    left = f"withdrawn from {len(standing.withdrawn)} studies" if standing.withdrawn else "withdrawn from no study"
    typer.echo(
        f"by these records the site is {paused} and {left}, and {withdrawn} patients were forgotten. What was said "
        "since the copy was made is lost: say it again (`pause`, `withdraw`, `forget`)"
    )


def _charge(site: SiteConfig, rounds: int | None) -> None:
    levels, ledger = load_policy(site.folder).privacy, BudgetLedger(site.records)
    plans = PlanBinding(site.records / "plans").list_plans()
    charged = sum(charge_restored(ledger, plan, levels, rounds) for plan in plans)
    if charged:
        typer.echo(f"{charged} rounds were charged as if they had been answered; `ceus-site privacy show` has the sum.")
    else:
        typer.echo("Nothing was charged: the ledger holds all rounds that a private plan of this site can have had.")
