"""`ceus-site` keys · join · approve · disapprove · reviewers: the site enters a federation, a bundle the site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ceus_models.pki.certificates import EXPIRY_WARNING
from ceus_models.pki.enrolment import read_versions, utc_now
from ceus_models.protocol.messages import PROTOCOL
from ceus_models.runtime.account import read_account
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.courier.approval import (
    approvals,
    approve,
    changes,
    check_reviewer,
    reviewers_wanted,
    want_reviewers,
    withdraw,
)
from client.courier.fab import PER_RUN, Contents, contents_of
from client.courier.folder import CourierFolder, courier_of
from client.courier.keys import last_request, request_enrolment
from client.courier.kit import install_kit, load_kit
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
    out.print(f"study {escape(joined.plan)}, plan digest {joined.plan_digest[:16]}, bundle {joined.bundle[:16]}")
    for line in joined.instructions:
        out.print(escape(line), soft_wrap=True)
    if joined.expires - utc_now() <= EXPIRY_WARNING:
        out.print(f"[red]it expires on {joined.expires:%Y-%m-%d}; ask for a new kit[/]")
    if bundle is not None:
        approve_command(folder, bundle, yes)


def approve_command(
    folder: Folder,
    bundle: Annotated[Path, typer.Argument(help="The bundle that came with the kit.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show what is in a bundle and what changed since the last approval, then let it run."""
    courier, out, by = courier_of(folder), _out(), read_account()
    kit = load_kit(courier, utc_now())
    contents = contents_of(_read(bundle))
    known = approvals(courier)
    check_reviewer(courier, contents.sha256, by)
    _show(contents)
    for line in changes(known[-1] if known else None, contents) or ["nothing changed since the last approval"]:
        out.print(f"  {escape(line)}", soft_wrap=True)
    if contents.sha256 != kit.bundle:
        out.print(f"[red]this is not the bundle of the kit ({kit.bundle[:16]}); ask the coordinator why[/]")
    if not yes and not typer.confirm("Let it run here?"):
        raise ExpectedError("the bundle was not approved; nothing has changed")
    _write_down(folder, "approve", contents.sha256, by)  # first: what opens the site is not done without a record
    made = approve(courier, contents, kit.federation, by, utc_now())
    out.print(f"approved {contents.sha256} by {escape(', '.join(made.reviewers))}", soft_wrap=True)
    if (missing := reviewers_wanted(courier) - len(made.reviewers)) > 0:
        out.print(f"[red]it does not run yet: {missing} more must approve it, from another account[/]")


def disapprove_command(
    folder: Folder,
    sha256: Annotated[str, typer.Argument(help="The bundle's SHA-256, or its first digits.", show_default=False)],
) -> None:
    """Let an approved bundle run no longer; it takes effect with the next message."""
    gone = withdraw(courier_of(folder), sha256.lower())
    _write_down(folder, "disapprove", gone.sha256, read_account())
    _out().print(f"no longer approved: {gone.sha256}")


def reviewers_command(
    folder: Folder,
    count: Annotated[int | None, typer.Argument(help="How many; without, what holds now.", show_default=False)] = None,
) -> None:
    """Have so many people approve a bundle, each from an account of their own, before it runs here."""
    courier = courier_of(folder)
    if count is not None and count != reviewers_wanted(courier):
        want_reviewers(courier, count)
        Audit(load_site(folder).records).append("approval", action="reviewers", wanted=count, by=read_account())
    _out().print(f"{reviewers_wanted(courier)} must approve a bundle before it runs here")


def _write_down(folder: Path, action: str, sha256: str, by: str) -> None:
    """In the site's audit. Raises ExpectedError where there is no site.yaml, or the audit cannot be written."""
    Audit(load_site(folder).records).append("approval", action=action, bundle=sha256, by=by)


def _show(contents: Contents) -> None:
    out = _out()
    out.print(f"bundle {contents.sha256}", soft_wrap=True)
    table = Table("", "", title="It carries no code. What runs here is the installed fedceus, with these settings")
    for name, value in contents.settings.items():
        free = " (each run sets it; the coordinator's own)" if name in PER_RUN else ""
        table.add_row(escape(name), escape(repr(value)) + free)
    for name, digest in contents.files.items():
        table.add_row(escape(name), f"SHA-256 {digest[:16]}…")
    out.print(table)
    if contents.shortage:
        out.print(f"[red]{escape(contents.shortage)}[/]", soft_wrap=True)
    else:
        out.print(f"every round counts with the sums of at least {contents.least_sites} sites")


def _read(bundle: Path) -> bytes:
    try:
        return bundle.read_bytes()
    except OSError as error:
        raise ExpectedError(f"the bundle cannot be read ({error.strerror}): {bundle}") from None


def _out() -> Console:
    return Console(highlight=False)
