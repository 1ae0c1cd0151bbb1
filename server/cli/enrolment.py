"""`ceus-coordinator` init · enrol · renew · revoke: a federation's life before and between runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ceus_models.pki.certificates import EXPIRY_WARNING
from ceus_models.pki.enrolment import read_versions, utc_now
from ceus_models.protocol.messages import PROTOCOL
from ceus_models.runtime.errors import ExpectedError
from server.cli.status import Folder, output
from server.federation.addresses import find_stale_kits
from server.federation.certificate_authority import is_encrypted, open_authority
from server.federation.enrolment import (
    EnrolmentService,
    VerifiedRequest,
    check_request,
    enrol,
    read_request,
    renew_site,
    revoke,
    write_kit,
)
from server.federation.federation_file import Federation, load_federation
from server.federation.federation_form import parse_filled
from server.federation.founding import place_plan, renew_front, set_up_federation, write_example
from server.federation.node_roster import is_up, open_control, synchronise
from server.federation.roster import write_roster
from server.federation.site_register import Register, change_register, read_register
from server.rounds.roster_file import ROSTER_FILE
from server.run_folder.paths import FEDERATION_FILE, Home

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
    home = Home(folder.resolve())
    secret = _passphrase(passphrase_file, ask=is_encrypted(home) or (encrypt and not home.ca_key.exists()))
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
    office, out = _open_enrolment(folder, passphrase_file), output()
    asked = [read_request(path) for path in requests]
    register = read_register(office.home)
    for one in asked:
        check_request(one, office, register)
    if not yes and not _confirm_fingerprint(asked):
        raise ExpectedError("nobody was enrolled; ask the sites for the fingerprints that `ceus-site keys` showed them")
    with change_register(office.home) as register:
        kits = [enrol(one, office, register) for one in asked]
        for kit in kits:
            out.print(f"enrolled {kit.site}: send it {escape(str(write_kit(kit, office)))}", soft_wrap=True)
    out.print(f"send the bundle with the kits: {escape(str(office.home.bundle))}", soft_wrap=True)
    _update_superlink(office.home, office.federation, office.now)


def renew_command(
    folder: Folder,
    sites: Annotated[
        list[str] | None,
        typer.Argument(help="Whose kits are made anew [default: that expire in 30 days, or have an old address]."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Renew certificates without stopping a run: those of the sites named, or the front door's and all that are due."""
    office, out = _open_enrolment(folder, passphrase_file), output()
    if not sites:
        front = renew_front(office.home, office.federation, _passphrase(passphrase_file, ask=False), office.now)
        out.print(f"front door: valid to {front.not_valid_after_utc:%Y-%m-%d}; let it read its files again:")
        out.print(f"  nginx -c {escape(str(office.home.nginx))} -s reload", soft_wrap=True)
    with change_register(office.home) as register:
        stale = find_stale_kits(office.home, office.federation, register, office.now)
        for name in sites or list(dict.fromkeys([*_due(register, office.now), *_renewable(register, stale)])):
            kit = renew_site(name, office, register)
            path = write_kit(kit, office)
            moved = f", with the address {kit.address} in place of {stale[name]}" if name in stale else ""
            said = f"{name}: valid to {kit.expires:%Y-%m-%d}{moved}; send it {escape(str(path))}"
            out.print(said, soft_wrap=True)


def revoke_command(
    folder: Folder,
    site: Annotated[str, typer.Argument(help="The site to shut out.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Kept in the register.")] = "",
) -> None:
    """Shut a site out for good: none of its keys works again. It can be enrolled anew with a new key."""
    home, moment = Home(folder.resolve()), utc_now()
    with change_register(home) as register:
        count = revoke(site, reason, register, moment)
    output().print(f"revoked {count} key{'s' * (count > 1)} of {site}")
    _update_superlink(home, load_federation(home.federation), moment)


def _open_enrolment(folder: Path, passphrase_file: Path | None) -> EnrolmentService:
    home, moment = Home(folder.resolve()), utc_now()
    federation = load_federation(home.federation)
    secret = _passphrase(passphrase_file, ask=is_encrypted(home))
    return EnrolmentService(home, federation, open_authority(home, secret, moment), read_versions(PROTOCOL), moment)


def _passphrase(file: Path | None, ask: bool) -> bytes | None:
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


def _due(register: Register, moment: datetime) -> list[str]:
    alive = (entry for entry in register.entries if entry.standing == "enrolled" and entry.expires > moment)
    return [entry.site for entry in alive if entry.expires - EXPIRY_WARNING <= moment]


def _renewable(register: Register, sites: Iterable[str]) -> Iterator[str]:
    return (name for name in sites if register.current(name))


def _update_superlink(home: Home, federation: Federation, moment: datetime) -> None:
    out = output()
    if not is_up(federation):
        out.print("the SuperLink is not running; it learns of this when it is started")
        return
    with open_control(home, federation, moment) as control:
        for line in synchronise(control, read_register(home), moment):
            out.print(escape(line), soft_wrap=True)


def roster_command(folder: Folder) -> None:
    """Write the list of sites and their keys of secure sums, which the sites' people approve by its digest."""
    home, out = Home(folder.resolve()), output()
    made = write_roster(home.run, load_federation(home.federation).name, read_register(home))
    out.print(f"roster {made.number} of {len(made.sites)} sites: {escape(str(home.run / ROSTER_FILE))}", soft_wrap=True)
    out.print(f"digest {made.digest()}", soft_wrap=True)
    out.print("send it to the sites, and tell its digest on another way, by telephone for instance")
