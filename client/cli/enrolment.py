"""`ceus-site` keys · join · approve-roster: the site enters a federation, and knows who else is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ceus_models.pki.certificates import EXPIRY_WARNING
from ceus_models.pki.enrolment import read_versions, utc_now
from ceus_models.protocol.messages import PROTOCOL
from ceus_models.protocol.privacy.roster import Roster, parse_roster
from ceus_models.runtime.account import read_account
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.reader_language import translate
from ceus_models.runtime.language.terminal import Terminal
from client.cli.approval import approve_command
from client.courier.folder import CourierFolder, courier_of
from client.courier.keys import last_request, request_enrolment
from client.courier.kit import install_kit
from client.data.forms.site_config import SITE_FILE, load_site
from client.worker.audit.log import Audit
from client.worker.privacy.keys import load_channel_key

Folder = Annotated[Path, typer.Argument(help="The site's folder.", show_default=False)]


def keys_command(
    folder: Folder,
    federation: Annotated[str, typer.Option(help="The federation's id, as its coordinator told it.")] = "",
    site: Annotated[str, typer.Option(help="The site's name in the federation [default: the folder's name].")] = "",
    renew: Annotated[bool, typer.Option("--renew", help="Make the next key, signed by the present one.")] = False,
) -> None:
    """Make the site's key, which stays here, and a request file to send to the coordinator."""
    courier = courier_of(folder)
    last = last_request(courier)
    identity = federation or (last.federation if last else "")
    if not identity:
        raise ExpectedError("give the federation's id with --federation: the line that its coordinator told you")
    name = site or (last.site if last else folder.resolve().name)
    _publish_sums_key(folder, courier)
    made = request_enrolment(courier, name, identity, renew, read_versions(PROTOCOL), utc_now())
    out = _out()
    out.print(
        f"site {escape(name)}, key {made.fingerprint}; the private key stays in {escape(str(courier.folder))}",
        soft_wrap=True,
    )
    out.print(f"send this file to the coordinator: {escape(str(made.request))}", soft_wrap=True)
    out.print("and tell the fingerprint on another way, by telephone for instance")
    if key := courier.read_sums_key():
        out.print(f"key of secure sums {key}", soft_wrap=True)


def _publish_sums_key(folder: Path, courier: CourierFolder) -> None:
    """Put the worker's public key of secure sums where the request takes it from, if there is a site.yaml."""
    if not (folder / SITE_FILE).exists():
        return
    public = load_channel_key(load_site(folder).records).public.hex()
    courier.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(courier.sums_key, public.encode(), PUBLIC)


def join_command(
    folder: Folder,
    kit: Annotated[Path, typer.Argument(help="The kit that the coordinator sent.", show_default=False)],
    bundle: Annotated[
        Path | None, typer.Argument(help="The bundle that came with it, to approve it as well.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without being asked.")] = False,
) -> None:
    """Verify the coordinator's kit and install it, again with every new kit; with its bundle, go on to `approve`."""
    joined = install_kit(courier_of(folder), kit, read_versions(PROTOCOL), utc_now())
    out = _out()
    out.print(f"{joined.site} has joined {escape(joined.federation)}, kit {joined.number}", soft_wrap=True)
    for line in joined.instructions:
        out.print(escape(line), soft_wrap=True)
    if joined.expires - utc_now() <= EXPIRY_WARNING:
        out.print(f"[red]it expires on {joined.expires:%Y-%m-%d}; ask for a new kit[/]")
    if bundle is not None:
        approve_command(folder, str(bundle), yes)


def approve_roster_command(
    folder: Folder,
    roster: Annotated[Path, typer.Argument(help="The file that the coordinator sent.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show who may be in a secure sum with this site, and write down who approved it; policy.yaml names its digest."""
    out, found = _out(), _read_roster(roster)
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
    if not yes and not typer.confirm(translate("Are these the hospitals of the study?")):
        raise ExpectedError("the roster was not approved; nothing has changed")
    Audit(records).append("approval", action="roster", roster=digest, by=read_account())
    out.print("now write into policy.yaml, under privacy:")
    out.print(f"  roster: {digest}", soft_wrap=True)


def _read_roster(path: Path) -> Roster:
    try:
        return parse_roster(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExpectedError(f"expected a roster, {path} cannot be read ({error}); ask for the file again") from None


def _out() -> Terminal:
    return Terminal()
