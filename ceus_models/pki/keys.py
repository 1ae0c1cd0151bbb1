"""The keys of a federation: ECDSA on NIST P-384 in OpenSSH format, as Flower's node authentication needs them.

A private key is generated where it is used and never sent. The public key is sent; two people compare its fingerprint
by telephone.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

_LONGEST = 10_000
_HASH = hashes.SHA384()


class KeyFileError(ExpectedError):
    """A key that cannot be used; the text says the cause and the fix."""


def generate_key() -> PrivateKey:
    """Generate a private key."""
    return ec.generate_private_key(ec.SECP384R1())


def format_public_key(key: PublicKey) -> str:
    """A public key as one line in OpenSSH format, `ecdsa-sha2-nistp384 AAAA…`."""
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def format_public_pem(key: PublicKey) -> bytes:
    """A public key as PEM, for Flower's SuperLink."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def parse_public_key(text: str) -> PublicKey:
    """Parse a public key in OpenSSH format. Raises KeyFileError for any other kind of key."""
    try:
        key = serialization.load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(
            "expected a public key in OpenSSH format, found other text; send the request file unchanged"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise KeyFileError("expected an ECDSA key on NIST P-384, found another kind; make it with `ceus-site keys`")
    return key


def parse_public_pem(pem: bytes) -> PublicKey | None:
    """Parse a public key in PEM; None if it is no elliptic-curve key."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def fingerprint(key: PublicKey) -> str:
    """The first 128 bits of SHA-256 over the key, in eight groups: `1a2b-3c4d-…`."""
    content = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digits = hashlib.sha256(content).hexdigest()[:32]
    return "-".join(digits[start : start + 4] for start in range(0, 32, 4))


def sign_bytes(key: PrivateKey, data: bytes) -> bytes:
    """The ECDSA signature with SHA-384."""
    return key.sign(data, ec.ECDSA(_HASH))


def is_valid_signature(key: PublicKey, data: bytes, by: bytes) -> bool:
    """Whether `by` is this key's signature of `data`."""
    try:
        key.verify(by, data, ec.ECDSA(_HASH))
    except InvalidSignature:
        return False
    return True


def write_private_key(path: Path, key: PrivateKey) -> None:
    """Write a key in OpenSSH format for Flower's SuperNode, atomically, with mode 0600. Raises OSError."""
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    write_atomically(path, content)


def read_private_key(path: Path, what: str) -> PrivateKey:
    """Read a key that `write_private_key` wrote; `what` is its name in messages.

    Raises:
        KeyFileError: the file is missing, damaged or readable by other users.
    """
    try:
        mode, content = path.stat().st_mode, path.read_bytes()[:_LONGEST]
    except OSError as error:
        raise KeyFileError(
            f"{what} cannot be read ({error.strerror}): {path}; run this as the user who made it"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"{what} is open to other users: {path}; run `chmod 600` on it, or make a new one")
    try:
        key = serialization.load_ssh_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{what} is damaged: {path}; restore it from a backup, or make a new one") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise KeyFileError(f"expected a key on NIST P-384, {what} is of another kind: {path}; make a new one")
    return key
