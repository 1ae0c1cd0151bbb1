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

from ceus_models.runtime.atomic_files import write_whole
from ceus_models.runtime.errors import ExpectedError

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

_LONGEST = 10_000
_HASH = hashes.SHA384()


class KeyFault(ExpectedError):
    """A key that cannot be used; the text says the cause and the fix."""


def new_key() -> PrivateKey:
    """Generate a private key."""
    return ec.generate_private_key(ec.SECP384R1())


def public_text(key: PublicKey) -> str:
    """A public key as one line in OpenSSH format, `ecdsa-sha2-nistp384 AAAA…`."""
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def public_pem(key: PublicKey) -> bytes:
    """A public key as PEM, for Flower's SuperLink."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public(text: str) -> PublicKey:
    """Parse a public key in OpenSSH format. Raises KeyFault for any other kind of key."""
    try:
        key = serialization.load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFault(
            "expected a public key in OpenSSH format, found other text; send the request file unchanged"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise KeyFault("expected an ECDSA key on NIST P-384, found another kind; make it with `ceus-site keys`")
    return key


def read_public_pem(pem: bytes) -> PublicKey | None:
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


def signature(key: PrivateKey, data: bytes) -> bytes:
    """The ECDSA signature with SHA-384."""
    return key.sign(data, ec.ECDSA(_HASH))


def is_signed(key: PublicKey, data: bytes, by: bytes) -> bool:
    """Whether `by` is this key's signature of `data`."""
    try:
        key.verify(by, data, ec.ECDSA(_HASH))
    except InvalidSignature:
        return False
    return True


def write_private(path: Path, key: PrivateKey) -> None:
    """Write a key in OpenSSH format for Flower's SuperNode, atomically, with mode 0600. Raises OSError."""
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    write_whole(path, content)


def read_private(path: Path, what: str) -> PrivateKey:
    """Read a key that `write_private` wrote; `what` is its name in messages.

    Raises:
        KeyFault: the file is missing, damaged or readable by other users.
    """
    try:
        mode, content = path.stat().st_mode, path.read_bytes()[:_LONGEST]
    except OSError as error:
        raise KeyFault(f"{what} cannot be read ({error.strerror}): {path}; run this as the user who made it") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFault(f"{what} is open to other users: {path}; run `chmod 600` on it, or make a new one")
    try:
        key = serialization.load_ssh_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFault(f"{what} is damaged: {path}; restore it from a backup, or make a new one") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise KeyFault(f"expected a key on NIST P-384, {what} is of another kind: {path}; make a new one")
    return key
