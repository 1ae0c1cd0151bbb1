"""Enrol, renew and revoke sites, and make their roster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ceus_models.pki.certificates import EXPIRY_WARNING
from ceus_models.pki.enrolment import Kit, read_versions, utc_now
from ceus_models.protocol.messages import PROTOCOL
from ceus_models.protocol.privacy.roster import Roster
from server.federation.addresses import find_stale_kits
from server.federation.certificate_authority import open_authority
from server.federation.enrolment import (
    EnrolmentService,
    VerifiedRequest,
    check_request,
    enrol,
    renew_site,
    revoke,
    write_kit,
)
from server.federation.federation_file import load_federation
from server.federation.founding import renew_front
from server.federation.node_roster import is_up, open_control, synchronise
from server.federation.roster import write_roster
from server.federation.site_register import Register, change_register, read_register
from server.run_folder.action_log import Actor, log_action
from server.run_folder.paths import Home


@dataclass(frozen=True)
class NewKit:
    """A kit, where it was written, and the address of the kit before it where that was another."""

    kit: Kit
    path: Path
    former: str = ""


def open_enrolment(home: Home, passphrase: bytes | None) -> EnrolmentService:
    """What enrolment needs, now. Raises AuthorityError where the CA's key cannot be opened."""
    moment = utc_now()
    federation = load_federation(home.federation)
    return EnrolmentService(home, federation, open_authority(home, passphrase, moment), read_versions(PROTOCOL), moment)


def check_requests(office: EnrolmentService, asked: Iterable[VerifiedRequest]) -> None:
    """Raises EnrolmentError for the first that is not acceptable."""
    register = read_register(office.home)
    for one in asked:
        check_request(one, office, register)


def enrol_sites(office: EnrolmentService, asked: Sequence[VerifiedRequest], actor: Actor) -> list[NewKit]:
    """Register the keys, all or none, and write the kits. Raises EnrolmentError."""
    kits = []
    with change_register(office.home) as register:
        for one in asked:
            with log_action(office.home, actor, "enrol", one.request.site, f"key {one.fingerprint}"):
                kits.append(enrol(one, office, register))
        return [NewKit(kit, write_kit(kit, office)) for kit in kits]


def renew_kits(office: EnrolmentService, sites: Sequence[str], actor: Actor) -> Iterator[NewKit]:
    """New kits of these sites, or of all that are due or have a former address. Raises EnrolmentError."""
    with change_register(office.home) as register:
        stale = find_stale_kits(office.home, office.federation, register, office.now)
        for name in sites or list(dict.fromkeys([*_list_due(register, office.now), *_list_renewable(register, stale)])):
            with log_action(office.home, actor, "renew kit", name):
                kit = renew_site(name, office, register)
                yield NewKit(kit, write_kit(kit, office), stale.get(name, ""))


def renew_front_door(office: EnrolmentService, passphrase: bytes | None, actor: Actor) -> datetime:
    """A new key and certificate of the reverse proxy; until when it holds."""
    with log_action(office.home, actor, "renew front door"):
        return renew_front(office.home, office.federation, passphrase, office.now).not_valid_after_utc


def revoke_site(home: Home, site: str, reason: str, actor: Actor) -> int:
    """Shut a site out for good; how many keys it had. Raises EnrolmentError."""
    with log_action(home, actor, "revoke", site, reason), change_register(home) as register:
        return revoke(site, reason, register, utc_now())


def make_roster(home: Home, actor: Actor) -> Roster:
    """The list of sites and their keys of secure sums. Raises ExpectedError where there are too few."""
    with log_action(home, actor, "roster"):
        return write_roster(home.folder, load_federation(home.federation).name, read_register(home))


def tell_superlink(home: Home) -> list[str]:
    """Let in and shut out keys at once, as the register says; what was done, one line each. Raises ExpectedError."""
    federation, moment = load_federation(home.federation), utc_now()
    if not is_up(federation):
        return ["the SuperLink is not running; it learns of this when it is started"]
    with open_control(home, federation, moment) as control:
        return synchronise(control, read_register(home), moment)


def _list_due(register: Register, moment: datetime) -> list[str]:
    alive = (entry for entry in register.entries if entry.standing == "enrolled" and entry.expires > moment)
    return [entry.site for entry in alive if entry.expires - EXPIRY_WARNING <= moment]


def _list_renewable(register: Register, sites: Iterable[str]) -> Iterator[str]:
    return (name for name in sites if register.current(name))
