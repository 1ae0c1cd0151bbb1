"""Small signed documents that people carry or mail: a site's request and the coordinator's kit.

One JSON object with kind, content, and signatures by role over the content's canonical form: a person can read it, and
a changed byte is detected.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceus_models.pki.keys import PrivateKey, PublicKey, is_valid_signature, sign_bytes
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.humanize import is_printable

MAX_BYTES = 1 << 16


class DocumentError(ExpectedError):
    """A document that was refused; the text says the cause and the fix."""


@dataclass(frozen=True)
class Document:
    """A document with its signatures by role, not verified yet."""

    kind: str
    content: Mapping[str, Any]
    signatures: Mapping[str, bytes]

    def is_signed_by(self, role: str, key: PublicKey) -> bool:
        """Whether the document has a valid signature of that role by this key."""
        return role in self.signatures and is_valid_signature(
            key, _build_signed_bytes(self.kind, self.content), self.signatures[role]
        )


def sign_document(kind: str, content: Mapping[str, Any], keys: Mapping[str, PrivateKey]) -> bytes:
    """Sign a document with each role's key, and return its bytes."""
    data = _build_signed_bytes(kind, content)
    marks = {role: base64.b64encode(sign_bytes(key, data)).decode() for role, key in keys.items()}
    return json.dumps({"fedceus": kind, "content": content, "signatures": marks}, indent=2).encode() + b"\n"


def read_document(path: Path, kind: str) -> Document:
    """Read a document of that kind from a file. Raises DocumentError for anything else."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"{path} cannot be read ({error.strerror}); give the file that you were sent") from None
    return parse_document(data, kind, str(path))


def parse_document(data: bytes, kind: str, name: str) -> Document:
    """Parse a document; `name` is its name in messages. Raises DocumentError as `read_document`."""
    remedy = f"ask for the file again, a JSON file that begins with {kind}"
    if len(data) > MAX_BYTES:
        raise DocumentError(f"expected a {kind} of at most {MAX_BYTES} bytes, {name} is longer; {remedy}")
    try:
        found = json.loads(data)
        marks = {str(role): base64.b64decode(text, validate=True) for role, text in found["signatures"].items()}
        found_kind, content = found["fedceus"], found["content"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise DocumentError(f"expected a {kind}, {name} is none or was cut off; {remedy}") from None
    if found_kind != kind or not isinstance(content, dict):
        raise DocumentError(f"expected a {kind}, {name} is none; {remedy}")
    if not is_printable(content, newlines=True):
        raise DocumentError(f"expected a {kind} of printable text, {name} holds control characters; do not use it")
    return Document(kind, content, marks)


def _build_signed_bytes(kind: str, content: Mapping[str, Any]) -> bytes:
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"fedceus/{kind}/1\n{plain}".encode()
