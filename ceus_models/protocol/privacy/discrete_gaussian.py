"""Discrete Gaussian noise from a key (Canonne et al. 2020): whole numbers, the same on every machine.

P(x) ∝ exp(-x² / 2σ²). The sum of several such draws is a discrete Gaussian to within e^(-π²σ²) (Kairouz et al. 2021),
so sites can each add a share. A draw inverts the distribution function, a table of 128-bit thresholds: a word of 64
random bits finds its place, and a second word decides where the first equals a threshold. What the table leaves out is
less likely than 2^-128.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Words = npt.NDArray[np.uint64]
_BITS, _GUARD_BITS = 128, 192
_LAST = (1 << _BITS) - 1
_TAIL = 13.5
"""Table's half width in σ: beyond it lies less than 2^-128."""
_DIGITS = Context(prec=90)


class Keystream:
    """Random words from a key: AES-256 in counter mode over zeros, read as little-endian numbers of 64 bits."""

    def __init__(self, key: bytes) -> None:
        """Start at the first word of a key of 32 bytes, which is used for one purpose only."""
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()

    def read_words(self, count: int) -> Words:
        """The next words."""
        return np.frombuffer(self._encryptor.update(bytes(8 * count)), "<u8").astype(np.uint64)


@dataclass(frozen=True, eq=False)
class Table:
    """Thresholds of a distribution function: floor(2^128 · P(X ≤ least + i)) in two words each."""

    least: int
    high: Words
    low: Words

    def invert(self, words: Words, more: Keystream) -> npt.NDArray[np.int64]:
        """The number that each word stands for; `more` decides words that equal a threshold."""
        places = np.searchsorted(self.high, words, side="left")
        last = len(self.high) - 1
        for index in np.flatnonzero(self.high[np.minimum(places, last)] == words):
            same = slice(places[index], np.searchsorted(self.high, words[index], side="right"))
            places[index] += np.searchsorted(self.low[same], more.read_words(1)[0], side="right")
        return np.minimum(places, last).astype(np.int64) + self.least


@functools.lru_cache(maxsize=4)
def build_table(sigma: float) -> Table:
    """The table of the discrete Gaussian of this σ, by whole numbers of 192 bits. Raises ValueError for σ ≤ 0."""
    if not sigma > 0:
        raise ValueError(f"expected sigma above 0, found {sigma}")
    reach = int(_TAIL * sigma) + 2
    tail = _list_weights(sigma, reach)
    total, passed = 2 * sum(tail) - tail[0], 0
    thresholds = bytearray()
    for place in range(-reach, reach):
        passed += tail[abs(place)]
        thresholds += min((passed << _BITS) // total, _LAST).to_bytes(_BITS // 8, "little")
    thresholds += _LAST.to_bytes(_BITS // 8, "little")
    low, high = np.frombuffer(thresholds, "<u8").astype(np.uint64).reshape(-1, 2).T.copy()
    return Table(-reach, high, low)


def draw_noise(key: bytes, sigma: float, count: int) -> npt.NDArray[np.int64]:
    """So many numbers of the discrete Gaussian, a function of the key alone."""
    stream = Keystream(key)
    return build_table(sigma).invert(stream.read_words(count), stream)


def _list_weights(sigma: float, reach: int) -> list[int]:
    """2^192 · exp(-k² / 2σ²) for k = 0 … reach: each from the last by a ratio that itself shrinks by one factor."""
    one = 1 << _GUARD_BITS
    twice = _DIGITS.multiply(2, _DIGITS.power(Decimal(sigma), 2))
    ratio, shrink = (int(_DIGITS.multiply(_DIGITS.exp(_DIGITS.divide(-parts, twice)), one)) for parts in (1, 2))
    weights = [one]
    for _ in range(reach):
        weights.append(weights[-1] * ratio >> _GUARD_BITS)
        ratio = ratio * shrink >> _GUARD_BITS
    return weights
