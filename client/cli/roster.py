"""`ceus-site approve-roster`: look at the federation's list of sites and keys before the policy names its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ceus_models.protocol.privacy.roster import Roster, parse_roster
from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import load_site
from client.worker.audit.log import Audit
from client.worker.privacy.keys import load_channel_key


def approve_roster_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder.", show_default=False)],
    roster: Annotated[Path, typer.Argument(help="The file that the coordinator sent.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show who may be in a secure sum with this site, and write down who approved it; policy.yaml names its digest."""
    out, found = Console(highlight=False), _read(roster)
    records = load_site(folder).records
    own = load_channel_key(records).public.hex()
    table = Table("site", "key of secure sums", title=f"roster {found.number} of {escape(found.federation)}")
    for site, key in sorted(found.sites.items()):
        table.add_row(escape(site), f"{key[:16]}…" + (" (this site)" if key == own else ""))
    out.print(table)
    if own not in found.sites.values():
        raise ExpectedError("this site's own key is not in the roster; ask the coordinator why before you approve it")
    digest = found.digest()
    out.print(f"digest {digest}: compare it with the other sites by telephone", soft_wrap=True)
    if not yes and not typer.confirm("Are these the hospitals of the study?"):
        raise ExpectedError("the roster was not approved; nothing has changed")
    Audit(records).append("approval", action="roster", roster=digest, by=read_account())
    out.print("now write into policy.yaml, under privacy:")
    out.print(f"  roster: {digest}", soft_wrap=True)


def _read(path: Path) -> Roster:
    try:
        return parse_roster(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExpectedError(f"expected a roster, {path} cannot be read ({error}); ask for the file again") from None
