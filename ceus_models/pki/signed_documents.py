"""Small signed documents that travel by hand or by mail: a site's request and the coordinator's kit.

One JSON object: what it is, its content, and a signature by role over the content's canonical form. So a person can
read it, and a changed byte is found.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceus_models.pki.keys import PrivateKey, PublicKey, is_signed, signature
from ceus_models.runtime.errors import ExpectedError

MAX_BYTES = 1 << 16


class DocumentFault(ExpectedError):
    """A document that is not taken; the text says the cause and the remedy."""


@dataclass(frozen=True)
class Document:
    """content: as it was signed · signatures: role → bytes. Not verified yet."""

    kind: str
    content: Mapping[str, Any]
    signatures: Mapping[str, bytes]

    def is_by(self, role: str, key: PublicKey) -> bool:
        """Whether the signature of that role is there and is this key's."""
        return role in self.signatures and is_signed(key, _signed(self.kind, self.content), self.signatures[role])


def signed(kind: str, content: Mapping[str, Any], keys: Mapping[str, PrivateKey]) -> bytes:
    """The document's bytes, signed by each role's key."""
    data = _signed(kind, content)
    marks = {role: base64.b64encode(signature(key, data)).decode() for role, key in keys.items()}
    return json.dumps({"fedceus": kind, "content": content, "signatures": marks}, indent=2).encode() + b"\n"


def read_document(path: Path, kind: str) -> Document:
    """The document in a file. Raises DocumentFault for anything that is no document of that kind."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentFault(f"{path} cannot be read ({error.strerror}); give the file that you were sent") from None
    return parsed(data, kind, str(path))


def parsed(data: bytes, kind: str, name: str) -> Document:
    """As `read_document`. name: how a message calls the document."""
    remedy = f"ask for it again: it is a JSON file that says {kind} at its top"
    if len(data) > MAX_BYTES:
        raise DocumentFault(f"{name} has more than {MAX_BYTES} bytes and is no {kind}; {remedy}")
    try:
        found = json.loads(data)
        marks = {str(role): base64.b64decode(text, validate=True) for role, text in found["signatures"].items()}
        said, content = found["fedceus"], found["content"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise DocumentFault(f"{name} is no {kind}, or was cut off on its way; {remedy}") from None
    if said != kind or not isinstance(content, dict):
        raise DocumentFault(f"{name} is no {kind}; {remedy}")
    return Document(kind, content, marks)


def _signed(kind: str, content: Mapping[str, Any]) -> bytes:
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"fedceus/{kind}/1\n{plain}".encode()
