"""Cryptography of secure sums: key derivation, key agreement, sealed boxes, and streams of mask bits.

HKDF-SHA256 (RFC 5869), X25519 (RFC 7748), AES-256-GCM and AES-256-CTR (NIST SP 800-38D and 800-38A).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from ceus_models.protocol.privacy.fixed_point import Ring

KEY_BYTES = 32
BOX_OVERHEAD = 12 + 16
"""Bytes of a box beyond its content: nonce and tag."""
_SALT = b"fedceus/sum/1"
_SLICE_BYTES = 256 << 10
"""Fits the processor's cache."""


def derive_key(secret: bytes, label: str, length: int = KEY_BYTES) -> bytes:
    """Derive an independent key for each label (HKDF-SHA256)."""
    return HKDF(hashes.SHA256(), length, _SALT, label.encode()).derive(secret)


def derive_public_key(private: bytes) -> bytes:
    """The X25519 public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree_on_key(private: bytes, public: bytes) -> bytes:
    """The secret that two sites share (X25519). Raises ValueError for a public key that gives the zero secret."""
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def seal_box(key: bytes, content: bytes, bound_to: bytes) -> bytes:
    """Encrypt and authenticate under a random nonce: nonce ‖ ciphertext ‖ tag. bound_to: what opening must name."""
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, content, bound_to)


def open_box(key: bytes, box: bytes, bound_to: bytes) -> bytes:
    """The content of a box. Raises ValueError where it was changed, or sealed for another place."""
    try:
        return AESGCM(key).decrypt(box[:12], box[12:], bound_to)
    except InvalidTag:
        raise ValueError("expected a box sealed for this place, found another") from None


def add_stream(vector: Ring, key: bytes, sign: int) -> None:
    """Add (sign 1) or subtract (sign -1) the stream of a key, in place, modulo 2^64.

    The stream is AES-256-CTR from a zero counter block, read as little-endian 64-bit integers: a key is used for one
    stream only.
    """
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    zeros, stream = bytes(_SLICE_BYTES), bytearray(_SLICE_BYTES + 15)
    numbers = np.frombuffer(stream, "<u8", count=_SLICE_BYTES // 8)
    combine = np.add if sign > 0 else np.subtract
    for begin in range(0, len(vector), len(numbers)):
        part = vector[begin : begin + len(numbers)]
        encryptor.update_into(zeros, stream)
        combine(part, numbers[: len(part)], out=part)
