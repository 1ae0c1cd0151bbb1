"""Any `threshold` shares give the secret; one fewer fits every secret alike."""

from __future__ import annotations

import itertools

import pytest

from ceus_models.protocol.privacy.shamir import PRIME, SHARE_BYTES, combine_shares, split_secret

SECRET = bytes(range(224, 256))


def test_every_subset_of_seven_sites() -> None:
    shares = dict(enumerate(split_secret(SECRET, 5, 7), 1))
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    for size in (5, 6, 7):
        for subset in itertools.combinations(shares, size):
            assert combine_shares({x: shares[x] for x in subset}) == SECRET


def test_one_share_too_few_fits_every_secret() -> None:
    """For any secret there is a last share that completes four of five to it: four tell nothing."""
    shares = dict(enumerate(split_secret(SECRET, 5, 7), 1))
    four = {x: shares[x] for x in (1, 3, 4, 7)}
    for wished in (bytes(32), b"\xff" * 32, bytes(range(32))):
        points = {0: int.from_bytes(wished, "big"), **{x: int.from_bytes(y, "big") for x, y in four.items()}}
        last = interpolate(points, 2).to_bytes(SHARE_BYTES, "big")
        assert combine_shares({**four, 2: last}) == wished


def interpolate(points: dict[int, int], at: int) -> int:
    """The value at `at` of the polynomial through the points, by Lagrange's formula."""
    value = 0
    for x, y in points.items():
        factor = 1
        for other in points:
            if other != x:
                factor = factor * (at - other) * pow(x - other, -1, PRIME) % PRIME
        value = (value + y * factor) % PRIME
    return value


def test_shares_differ_each_time() -> None:
    assert split_secret(SECRET, 2, 3) != split_secret(SECRET, 2, 3)


def test_a_changed_share_is_found() -> None:
    shares = dict(enumerate(split_secret(SECRET, 3, 5), 1))
    with pytest.raises(ValueError, match="found shares of none"):
        combine_shares({1: shares[1], 2: shares[2], 3: shares[4]})
