"""`ceus-site join`: the coordinator's kit is verified, then installed. Opened again at every start of the courier."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path

from ceus_models.pki.certificates import (
    check_is_ca,
    check_issued,
    check_times,
    extract_key,
    parse_certificate,
)
from ceus_models.pki.enrolment import (
    CLOCK_TOLERANCE,
    COORDINATOR_ROLE,
    KIT,
    REQUEST,
    EnrolmentRequest,
    Kit,
    Versions,
    format_federation_id,
    parse_content,
)
from ceus_models.pki.keys import fingerprint, format_public_key, read_private_key
from ceus_models.pki.signed_documents import Document, read_document
from ceus_models.runtime.atomic_files import PRIVATE, PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.courier.folder import CourierFolder
from client.courier.keys import last_request

_RENEWAL = (
    "ask the coordinator for a new kit (`ceus-coordinator renew`), or make a new request: "
    "`ceus-site keys FOLDER --renew`"
)
_SECRET_BYTES = 32


class JoinFault(ExpectedError):
    """A kit that is refused; the text says the cause and the remedy."""


def install_kit(courier: CourierFolder, path: Path, versions: Versions, now: datetime) -> Kit:
    """Verify a kit against the site's own request and key, and install it; the same kit again changes nothing.

    Raises DocumentError, KeyFileError, CertificateError, JoinFault or OSError, and then nothing has changed.
    """
    document = read_document(path, KIT)
    kit = parse_content(document, Kit, str(path))
    request = _own_request(courier)
    _check_answers(kit, request)
    _check_trust(kit, document, now)
    _check_newer(kit, courier)
    if why := versions.find_mismatch(kit.versions):
        raise JoinFault(f"this site and the coordinator cannot work together: {why}")
    is_next = _is_next(kit, courier)
    courier.state.mkdir(mode=0o700, exist_ok=True)
    write_atomically(courier.ca, kit.ca_certificate.encode(), PUBLIC)
    if not courier.superexec_secret.exists():
        write_atomically(courier.superexec_secret, secrets.token_bytes(_SECRET_BYTES))
    if is_next:
        write_atomically(courier.key, courier.next_key.read_bytes(), PRIVATE)
    write_atomically(courier.kit, path.read_bytes(), PUBLIC)
    if courier.next_key.exists() and courier.next_key.read_bytes() == courier.key.read_bytes():
        courier.next_key.unlink()  # also after a join that was cut off here
    return kit


def load_kit(courier: CourierFolder, now: datetime) -> Kit:
    """The installed kit, verified again. Raises as `install_kit`, with what to do."""
    if not courier.kit.exists():
        raise JoinFault(
            "this site has not joined a federation; run `ceus-site join FOLDER KIT` with the kit you were sent"
        )
    document = read_document(courier.kit, KIT)
    kit = parse_content(document, Kit, str(courier.kit))
    _check_trust(kit, document, now)
    key = read_private_key(courier.key, "the site's key")
    if format_public_key(key.public_key()) != kit.public_key:
        raise JoinFault(
            "the installed kit is for another key than the one in this folder; join again with the newest kit, or make "
            "a new request with `ceus-site keys`"
        )
    return kit


def is_ours(courier: CourierFolder) -> bool:
    """Whether this account may look into the courier's folder, or there is none."""
    return not courier.folder.exists() or os.access(courier.folder, os.R_OK | os.X_OK)


def kit_of(courier: CourierFolder) -> Kit | None:
    """The installed kit, as it was verified; None before the site has joined, or where it is not this account's."""
    if not is_ours(courier) or not courier.kit.exists():
        return None
    return parse_content(read_document(courier.kit, KIT), Kit, "the installed kit")


def _own_request(courier: CourierFolder) -> EnrolmentRequest:
    if not courier.request.exists():
        raise JoinFault("this site has made no request, so no kit can be its answer; run `ceus-site keys` first")
    return parse_content(read_document(courier.request, REQUEST), EnrolmentRequest, str(courier.request))


def _check_answers(kit: Kit, request: EnrolmentRequest) -> None:
    if kit.federation != request.federation:
        raise JoinFault(
            f"the kit is of the federation {kit.federation}, this site asked {request.federation}; ask the coordinator "
            "which of the two is right"
        )
    if kit.site != request.site:
        raise JoinFault(f"the kit is for {kit.site}, this site is {request.site}; ask the coordinator for your own kit")
    if kit.public_key != request.public_key or kit.nonce != request.nonce:
        raise JoinFault(
            "the kit answers another request than this site's last one: an old kit, or one made before "
            "`ceus-site keys` was run again; send the newest request.json and join with its answer"
        )


def _check_trust(kit: Kit, document: Document, now: datetime) -> None:
    """The CA is the one whose fingerprint stands in the federation's id, and it vouches for all the rest."""
    ca = parse_certificate(kit.ca_certificate.encode(), "the kit's CA certificate")
    ca_key = extract_key(ca, "the kit's CA certificate")
    if format_federation_id(kit.federation.partition(":")[0], ca_key) != kit.federation:
        raise JoinFault(
            f"the kit's CA has the fingerprint {fingerprint(ca_key)}, which is not this federation's "
            f"({kit.federation.partition(':')[2]}): somebody else made it. Do not use it; tell the coordinator"
        )
    check_is_ca(ca)
    if not document.is_signed_by(COORDINATOR_ROLE, ca_key):
        raise JoinFault("the kit was changed after the coordinator signed it; ask for it to be sent again")
    if kit.made > now + CLOCK_TOLERANCE:
        ahead = round((kit.made - now).total_seconds() / 60)
        raise JoinFault(
            f"the kit was made {ahead} min in the future: this machine's clock is behind. Set it by NTP "
            "(`timedatectl set-ntp true`); Flower refuses a node whose clock is off by more than 5 min"
        )
    check_times(ca, "the kit's CA certificate", now, "this federation has ended")
    certificate = parse_certificate(kit.site_certificate.encode(), "the site's certificate")
    check_issued(certificate, ca, "the site's certificate")
    check_times(certificate, "the site's certificate", now, _RENEWAL)
    if format_public_key(extract_key(certificate, "the site's certificate")) != kit.public_key:
        raise JoinFault("the kit's certificate is for another key; ask the coordinator for a new kit")


def _check_newer(kit: Kit, courier: CourierFolder) -> None:
    if not courier.kit.exists():
        return
    there = parse_content(read_document(courier.kit, KIT), Kit, str(courier.kit))
    if there.federation == kit.federation and there.number > kit.number:
        raise JoinFault(
            f"this is kit {kit.number} of this site, and kit {there.number} is installed: it is stale. Use the newest"
        )


def _is_next(kit: Kit, courier: CourierFolder) -> bool:
    """Whether the kit is for the next key. Raises JoinFault if it is for neither."""
    for path, is_next in ((courier.key, False), (courier.next_key, True)):
        if path.exists() and format_public_key(read_private_key(path, "the site's key").public_key()) == kit.public_key:
            return is_next
    raise JoinFault(
        "the private key of this kit is not in this folder; it was made elsewhere, or deleted: run `ceus-site keys`"
    )


def site_name(courier: CourierFolder) -> str:
    """The site's name in its federation, from its own request. Raises ExpectedError where that cannot be read."""
    request = last_request(courier)
    if request is None:
        raise JoinFault(
            "the site's name is in courier/request.json, which is missing or not readable here: run `ceus-site keys` "
            "and `install_kit` first, or give --site NAME"
        )
    return request.site
