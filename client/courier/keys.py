"""`ceus-site keys`: the site makes its key, and a request that proves it has it. The key itself stays."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ceus_models.pki.enrolment import (
    FEDERATION_ID,
    NAME,
    PREVIOUS_ROLE,
    REQUEST,
    SITE_ROLE,
    EnrolmentRequest,
    Versions,
    format_content,
    parse_content,
)
from ceus_models.pki.keys import fingerprint, format_public_key, generate_key, read_private_key, write_private_key
from ceus_models.pki.signed_documents import DocumentError, read_document, sign_document
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.courier.folder import CourierFolder

_PRIVATE_FOLDER = 0o700
_NONCE_BYTES = 32


class KeysFault(ExpectedError):
    """Keys that are not made; the text says the cause and the remedy."""


@dataclass(frozen=True)
class Made:
    """request: the file to send · fingerprint: to be compared with what the coordinator sees."""

    request: Path
    fingerprint: str


def request_enrolment(
    courier: CourierFolder, site: str, federation: str, renew: bool, versions: Versions, now: datetime
) -> Made:
    """Make what is missing of the site's key, and its request.

    A key that was made is kept, so the command may be repeated; renew: make the next key, signed by the present one.
    Raises KeysFault, KeyFileError or OSError.
    """
    if not NAME.fullmatch(site):
        raise KeysFault(f"a site's name has letters, digits and hyphens, at most 63: not {site!r}; give --site NAME")
    if not FEDERATION_ID.fullmatch(federation):
        raise KeysFault(
            "a federation's id is NAME:xxxx-xxxx-…, eight groups of four; copy the line that the coordinator's "
            "`ceus-coordinator init` shows"
        )
    if courier.kit.exists() and not renew:
        raise KeysFault("this site is enrolled already; for a new key run this with --renew")
    if renew and not courier.kit.exists():
        raise KeysFault("this site is not enrolled yet, so there is no key to renew; run this without --renew")
    courier.folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    path = courier.next_key if renew else courier.key
    if not path.exists():
        write_private_key(path, generate_key())
    key = read_private_key(path, "the site's key")
    previous = read_private_key(courier.key, "the site's present key") if renew else None
    request = EnrolmentRequest(
        federation=federation,
        site=site,
        public_key=format_public_key(key.public_key()),
        nonce=secrets.token_hex(_NONCE_BYTES),
        made=now,
        versions=versions,
        previous=fingerprint(previous.public_key()) if previous else None,
        sums_key=courier.read_sums_key(),
    )
    roles = {SITE_ROLE: key, **({PREVIOUS_ROLE: previous} if previous else {})}
    write_atomically(
        courier.request, sign_document(REQUEST, format_content(_same_nonce(request, courier)), roles), PUBLIC
    )
    return Made(courier.request, fingerprint(key.public_key()))


def last_request(courier: CourierFolder) -> EnrolmentRequest | None:
    """The request as it lies there; None if there is none that can be read."""
    try:
        return parse_content(read_document(courier.request, REQUEST), EnrolmentRequest, str(courier.request))
    except DocumentError:
        return None


def _same_nonce(request: EnrolmentRequest, courier: CourierFolder) -> EnrolmentRequest:
    """A request that is made again is the same request, so that the kit for the first one still answers it."""
    last = last_request(courier)
    same = last and all(
        getattr(last, f) == getattr(request, f) for f in ("public_key", "federation", "site", "sums_key")
    )
    return request.model_copy(update={"nonce": last.nonce}) if last and same else request
