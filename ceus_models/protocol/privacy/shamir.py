"""Shamir's secret sharing (1979) over the prime 2^521 - 1: `threshold` shares give the secret, fewer give nothing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

PRIME = 2**521 - 1
SECRET_BYTES = 32
SHARE_BYTES = 66


def split_secret(secret: bytes, threshold: int, shares: int) -> list[bytes]:
    """Shares of a secret of 32 bytes: values of a random polynomial at 1, 2, …, `shares`."""
    polynomial = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return [_evaluate(polynomial, x).to_bytes(SHARE_BYTES, "big") for x in range(1, shares + 1)]


def combine_shares(shares: Mapping[int, bytes]) -> bytes:
    """The secret, from `threshold` shares by their points (Lagrange at 0).

    Raises:
        ValueError: the shares belong to no secret of 32 bytes, as where one was changed.
    """
    secret = 0
    for x, share in shares.items():
        above = below = 1
        for other in shares:
            if other != x:
                above = above * other % PRIME
                below = below * (other - x) % PRIME
        secret = (secret + int.from_bytes(share, "big") * above * pow(below, -1, PRIME)) % PRIME
    if secret >= 1 << (8 * SECRET_BYTES):
        raise ValueError(f"expected shares of a secret of {SECRET_BYTES} bytes, found shares of none")
    return secret.to_bytes(SECRET_BYTES, "big")


def _evaluate(polynomial: list[int], x: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * x + coefficient) % PRIME
    return value
