"""A study as the coordinator offers it to the sites: the third document that its CA signs, inside every bundle."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from pydantic import AwareDatetime, Field

from ceus_models.pki.enrolment import (
    COORDINATOR_ROLE,
    FederationId,
    Hex,
    Name,
    SignedContent,
    format_content,
    parse_content,
)
from ceus_models.pki.keys import PrivateKey, PublicKey
from ceus_models.pki.signed_documents import DocumentError, parse_document, sign_document
from ceus_models.runtime.humanize import is_printable

STUDY = "study"
STUDY_FILE = "study.json"
MAX_PLAN = 1 << 15
"""Characters; the paper's plan has three thousand."""


class OfferedStudy(SignedContent):
    """One study of a federation.

    Args:
        study: its name.
        plan: the plan as canonical JSON, of which the digest is taken.
        settings: SHA-256 of the bundle's run settings, so that the signature covers these too.
    """

    federation: FederationId
    study: Name
    plan: Annotated[str, Field(min_length=1, max_length=MAX_PLAN)]
    plan_digest: Hex
    settings: Hex
    made: AwareDatetime

    def is_same(self, other: OfferedStudy) -> bool:
        """Whether both offer the same, at whatever time."""
        return self.model_copy(update={"made": other.made}) == other


class ForeignStudyError(DocumentError):
    """A study that the federation's CA did not sign, or that is of another federation: an alarm."""


def sign_study(study: OfferedStudy, key: PrivateKey) -> bytes:
    """The document, signed with the key of the federation's CA."""
    return sign_document(STUDY, format_content(study), {COORDINATOR_ROLE: key})


def read_study(data: bytes, name: str) -> OfferedStudy:
    """Read a study, whoever signed it. Raises DocumentError, also where the plan is not the one that it names."""
    study = parse_content(parse_document(data, STUDY, name), OfferedStudy, name)
    if hashlib.sha256(study.plan.encode()).hexdigest() != study.plan_digest:
        raise DocumentError(f"expected the plan of digest {study.plan_digest[:16]}…, {name} has another; do not use it")
    try:
        printable = is_printable(json.loads(study.plan))
    except (ValueError, RecursionError):
        printable = False
    if not printable:
        raise DocumentError(f"expected a plan of printable text in JSON, {name} has another; do not use it")
    return study


def verify_study(data: bytes, name: str, federation: str, ca_key: PublicKey) -> OfferedStudy:
    """Read a study that this CA signed for this federation.

    Raises ForeignStudyError where it did not, DocumentError for what is no study.
    """
    document = parse_document(data, STUDY, name)
    if not document.is_signed_by(COORDINATOR_ROLE, ca_key):
        raise ForeignStudyError(
            f"expected a study that {federation.partition(':')[0]}'s coordinator signed, {name} was signed by somebody "
            "else or changed afterwards: do not approve it, and tell the coordinator by telephone"
        )
    study = read_study(data, name)
    if study.federation != federation:
        raise ForeignStudyError(
            f"expected a study of {federation}, {name} is of {study.federation}: do not approve it, and tell the "
            "coordinator by telephone"
        )
    return study
