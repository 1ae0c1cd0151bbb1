"""`ceus-coordinator` init · enrol · renew · revoke: a federation's life before and between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from server.cli.status import Folder, output
from server.federation.certificate_authority import is_encrypted
from server.federation.enrolment import VerifiedRequest, read_request
from server.federation.federation_form import parse_filled
from server.federation.former_layout import open_home
from server.federation.founding import place_plan, set_up_federation, write_example
from server.operations.actions.sites import (
    check_requests,
    enrol_sites,
    make_roster,
    open_enrolment,
    renew_front_door,
    renew_kits,
    revoke_site,
    tell_superlink,
)
from server.run_folder.action_log import log_action, read_actor
from server.run_folder.paths import FEDERATION_FILE, Home
from server.run_folder.studies import list_studies

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="A file with the passphrase of the CA's key.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def init_command(
    folder: Folder,
    passphrase_file: PassphraseFile = None,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Ask for a passphrase for the CA's key.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="KEY=VALUE of a new federation.yaml: at least name, address and sites.", show_default=False
        ),
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="The study's plan, copied into FOLDER.", show_default=False)] = None,
) -> None:
    """Make a federation from FOLDER/federation.yaml: CA, certificates, bundle, front door. Again: keep the CA."""
    out = output()
    filled = parse_filled(settings) if settings else None
    if filled and (folder / FEDERATION_FILE).exists():
        raise ExpectedError(f"{folder / FEDERATION_FILE} is there: change it there, and leave out --set")
    if plan is not None:
        place_plan(folder, plan)
    if write_example(folder, filled) and not filled:
        out.print(f"made {escape(str(folder / FEDERATION_FILE))}; fill it, put plan.yaml beside it, and run this again")
        return
    home = open_home(folder)
    secret = read_passphrase(passphrase_file, ask=is_encrypted(home) or (encrypt and not home.ca_key.exists()))
    with log_action(home, read_actor(), "init"):
        made = set_up_federation(folder, secret, utc_now())
    for line in made.told:
        out.print(escape(line), soft_wrap=True)
    out.print(f"federation: {escape(made.identity)}", soft_wrap=True)
    out.print(f"tell the sites: ceus-site keys FOLDER --federation {escape(made.identity)}", soft_wrap=True)


def enrol_command(
    folder: Folder,
    requests: Annotated[list[Path], typer.Argument(help="The sites' request files.", show_default=False)],
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    """Check the sites' requests, register their keys, and write a kit for each."""
    home, out = open_home(folder), output()
    office = open_enrolment(home, read_passphrase(passphrase_file, ask=is_encrypted(home)))
    asked = [read_request(path) for path in requests]
    check_requests(office, asked)
    if not yes and not _confirm_fingerprint(asked):
        raise ExpectedError("nobody was enrolled; ask the sites for the fingerprints that `ceus-site keys` showed them")
    for made in enrol_sites(office, asked, read_actor()):
        out.print(f"enrolled {made.kit.site}: send it {escape(str(made.path))}", soft_wrap=True)
    for study in list_studies(home):
        out.print(f"send the bundle of {study.name} with the kits: {escape(str(study.bundle))}", soft_wrap=True)
    _update_superlink(home)


def renew_command(
    folder: Folder,
    sites: Annotated[
        list[str] | None,
        typer.Argument(help="Whose kits are made anew [default: that expire in 30 days, or have an old address]."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Renew certificates without stopping a run: those of the sites named, or the front door's and all that are due."""
    home, out, actor = open_home(folder), output(), read_actor()
    secret = read_passphrase(passphrase_file, ask=is_encrypted(home))
    office = open_enrolment(home, secret)
    if not sites:
        expires = renew_front_door(office, secret, actor)
        out.print(f"front door: valid to {expires:%Y-%m-%d}; let it read its files again:")
        out.print(f"  nginx -c {escape(str(home.nginx))} -s reload", soft_wrap=True)
    for made in renew_kits(office, sites or (), actor):
        kit = made.kit
        moved = f", with the address {kit.address} in place of {made.former}" if made.former else ""
        said = f"{kit.site}: valid to {kit.expires:%Y-%m-%d}{moved}; send it {escape(str(made.path))}"
        out.print(said, soft_wrap=True)


def revoke_command(
    folder: Folder,
    site: Annotated[str, typer.Argument(help="The site to shut out.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Kept in the register.")] = "",
) -> None:
    """Shut a site out for good: none of its keys works again. It can be enrolled anew with a new key."""
    home = open_home(folder)
    count = revoke_site(home, site, reason, read_actor())
    output().print(f"revoked {count} key{'s' * (count > 1)} of {site}")
    _update_superlink(home)


def read_passphrase(file: Path | None, ask: bool) -> bytes | None:
    """The passphrase of the CA's key: from a file, or typed if `ask` and a terminal is there."""
    if file is not None:
        try:
            return file.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise ExpectedError(f"the passphrase file cannot be read ({error.strerror}): {file}") from None
    if ask and Console(stderr=True).is_terminal:
        return str(typer.prompt("Passphrase of the CA's key", hide_input=True, err=True)).encode()
    return None


def _confirm_fingerprint(asked: list[VerifiedRequest]) -> bool:
    out = output()
    for one in asked:
        out.print(
            f"{escape(one.request.site)}, request of {one.request.made:%Y-%m-%d %H:%M} UTC, key {one.fingerprint}",
            soft_wrap=True,
        )
    out.print("Compare each key with the one that the site tells you by telephone.")
    return typer.confirm("Are they the same?")


def _update_superlink(home: Home) -> None:
    out = output()
    for line in tell_superlink(home):
        out.print(escape(line), soft_wrap=True)


def roster_command(folder: Folder) -> None:
    """Write the list of sites and their keys of secure sums, which the sites' people approve by its digest."""
    home, out = open_home(folder), output()
    made = make_roster(home, read_actor())
    out.print(f"roster {made.number} of {len(made.sites)} sites: {escape(str(home.roster))}", soft_wrap=True)
    out.print(f"digest {made.digest()}", soft_wrap=True)
    out.print("send it to the sites, and tell its digest on another way, by telephone for instance")
