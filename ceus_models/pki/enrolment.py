"""The two documents of enrolment: a site's request and the coordinator's kit.

A site gets the federation's id by another channel. It ends in the fingerprint of the CA's key, so the site can tell the
right CA before it has its certificate, and refuses a kit of any other CA.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ceus_models.pki.keys import PublicKey, fingerprint
from ceus_models.pki.signed_documents import Document, DocumentError
from ceus_models.runtime.yaml_lines import format_key

REQUEST, KIT = "request", "kit"
SITE_ROLE, PREVIOUS_ROLE, COORDINATOR_ROLE = "site", "previous key", "coordinator"

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Flower's node authentication allows no larger difference of clocks."""
REQUEST_LIFE = timedelta(days=30)
ADDRESS_HEADER = "x-ceus-address"
"""Header of the front door's answers: its present address, and until when a former one holds, if there is one."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_FINGERPRINT = r"[0-9a-f]{4}(?:-[0-9a-f]{4}){7}"
NAME = re.compile(_NAME)
FEDERATION_ID = re.compile(f"{_NAME}:{_FINGERPRINT}")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("a name has 1 to 63 letters, digits and hyphens, and begins and ends with a letter or digit")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a text of one line has no control characters")
    return text


Name = Annotated[str, AfterValidator(_name)]
"""Of a site or a federation: letters, digits and hyphens, at most 63."""
FederationId = Annotated[str, Field(pattern=f"^{_NAME}:{_FINGERPRINT}$")]
Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Line = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_one_line)]
_Pem = Annotated[str, Field(max_length=10_000)]


class SignedContent(BaseModel):
    """What a document says."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Versions(SignedContent):
    """Installed versions: both sides need the same protocol and the same minor version of Flower."""

    fedceus: _Line
    flower: _Line
    protocol: Annotated[int, Field(ge=1)]

    def find_mismatch(self, other: Versions) -> str | None:
        """Why the two cannot work together, or None."""
        if self.protocol != other.protocol:
            return (
                f"protocol {self.protocol} here, {other.protocol} there; install fedceus {self.fedceus} on both sides"
            )
        if self.flower.split(".")[:2] != other.flower.split(".")[:2]:
            return f"Flower {self.flower} here, {other.flower} there; install Flower {self.flower} on both sides"
        return None


class EnrolmentRequest(SignedContent):
    """A site's request for enrolment: `nonce` is random and answered once, `previous` is the key that it replaces.

    `sums_key` is the public channel key of its worker in secure sums.
    """

    federation: FederationId
    site: Name
    public_key: _Line
    nonce: Hex
    made: AwareDatetime
    versions: Versions
    previous: str | None = Field(default=None, pattern=f"^{_FINGERPRINT}$")
    sums_key: Hex | None = None


class Kit(SignedContent):
    """The coordinator's answer; `number` increases with every kit of a site, so that an old one is recognised.

    `plan`, `plan_digest` and `bundle` stand in kits of older versions only: a kit is of the federation, and a bundle
    brings its own study.
    """

    federation: FederationId
    site: Name
    number: Annotated[int, Field(ge=1)]
    nonce: Hex
    public_key: _Line
    made: AwareDatetime
    expires: AwareDatetime
    address: _Line
    ca_certificate: _Pem
    site_certificate: _Pem
    versions: Versions
    instructions: Annotated[tuple[_Line, ...], Field(max_length=20)]
    plan: Name | None = None
    plan_digest: Hex | None = None
    bundle: Hex | None = None


ContentT = TypeVar("ContentT", bound=SignedContent)


def parse_content(document: Document, form: type[ContentT], name: str) -> ContentT:
    """Validate a document's content as `form`. Raises DocumentError with the first wrong field."""
    try:
        return form.model_validate(document.content)
    except ValidationError as error:
        place = format_key(error.errors()[0]["loc"])
        raise DocumentError(
            f"{name}: {place} is not as this version of fedceus writes it; use the same version on both sides and make "
            f"the {document.kind} again"
        ) from None


def format_content(made: SignedContent) -> dict[str, Any]:
    """The content to be signed, as JSON values."""
    return made.model_dump(mode="json", exclude_none=True)


def format_federation_id(name: str, ca_key: PublicKey) -> str:
    """The id of a federation, `NAME:FINGERPRINT`."""
    return f"{name}:{fingerprint(ca_key)}"


def read_versions(protocol: int) -> Versions:
    """The versions of this installation."""
    return Versions(fedceus=metadata.version("fedceus"), flower=metadata.version("flwr"), protocol=protocol)


def utc_now() -> datetime:
    """The time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
