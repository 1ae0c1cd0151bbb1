"""The keys of a federation: NIST P-384, as Flower's node authentication wants them, in OpenSSH's form.

A private key is made where it is used and is never sent; what travels is its public half, and what two people compare
on the telephone is its fingerprint.
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
    """A key that cannot be used; the text says why and what to do."""


def new_key() -> PrivateKey:
    """A fresh private key."""
    return ec.generate_private_key(ec.SECP384R1())


def public_text(key: PublicKey) -> str:
    """The public half as one line, `ecdsa-sha2-nistp384 AAAA…`."""
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def public_pem(key: PublicKey) -> bytes:
    """The public half as PEM, which Flower's SuperLink takes."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public(text: str) -> PublicKey:
    """The key in such a line. Raises KeyFault for any other kind of key."""
    try:
        key = serialization.load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFault("this is no public key in OpenSSH's form; send the request file as it was made") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise KeyFault("a site's key is ECDSA on NIST P-384; make it with `ceus-site keys`")
    return key


def read_public_pem(pem: bytes) -> PublicKey | None:
    """The key in PEM, or None if it is none of ours."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def fingerprint(key: PublicKey) -> str:
    """128 bits of SHA-256 over the key, in groups to be read aloud: `1a2b-3c4d-…`, eight of them."""
    content = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digits = hashlib.sha256(content).hexdigest()[:32]
    return "-".join(digits[start : start + 4] for start in range(0, 32, 4))


def signature(key: PrivateKey, data: bytes) -> bytes:
    """ECDSA with SHA-384."""
    return key.sign(data, ec.ECDSA(_HASH))


def is_signed(key: PublicKey, data: bytes, by: bytes) -> bool:
    """Whether `by` is this key's signature of `data`."""
    try:
        key.verify(by, data, ec.ECDSA(_HASH))
    except InvalidSignature:
        return False
    return True


def write_private(path: Path, key: PrivateKey) -> None:
    """In OpenSSH's form, which Flower's SuperNode reads; mode 0600, whole or not at all. Raises OSError."""
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    write_whole(path, content)


def read_private(path: Path, what: str) -> PrivateKey:
    """A key that `write_private` wrote. Raises KeyFault if it is missing, damaged or open to other users.

    what: how a message calls it.
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
        raise KeyFault(f"{what} is no P-384 key: {path}; make a new one")
    return key
