"""The sampler against the distribution it draws from."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from ceus_models.protocol.privacy.discrete_gaussian import Keystream, Table, build_table, draw_noise

KEY = bytes(range(32))
DRAWS = 1_000_000


def exact_masses(sigma: float) -> dict[int, Fraction]:
    """Each number's probability, from exponentials of 120 digits."""
    with localcontext() as digits:
        digits.prec = 120
        reach = int(30 * sigma) + 30
        twice = 2 * Decimal(sigma) ** 2
        weights = {x: Fraction((-Decimal(x * x) / twice).exp()) for x in range(-reach, reach + 1)}
    total = sum(weights.values())
    return {x: weight / total for x, weight in weights.items()}


@pytest.mark.parametrize("sigma", [0.5, 3.0, 64.0])
def test_thresholds_are_the_exact_distribution_function(sigma: float) -> None:
    masses, table = exact_masses(sigma), build_table(sigma)
    passed = sum(mass for x, mass in masses.items() if x < table.least)
    for place, (high, low) in enumerate(zip(table.high.tolist(), table.low.tolist(), strict=True)):
        passed += masses[table.least + place]
        assert abs((high << 64 | low) - passed * 2**128) <= 2


@pytest.mark.parametrize("sigma", [0.5, 3.0, 64.0])
def test_many_draws_fit_the_distribution(sigma: float) -> None:
    drawn = draw_noise(KEY, sigma, DRAWS)
    expected = {x: float(mass) * DRAWS for x, mass in exact_masses(sigma).items()}
    common = [x for x, count in expected.items() if count >= 10]
    observed = [int((drawn == x).sum()) for x in common]
    rest = DRAWS - sum(observed), DRAWS - sum(expected[x] for x in common)
    _, p = stats.chisquare([*observed, rest[0]], [*(expected[x] for x in common), rest[1]])
    assert p > 0.001


@pytest.mark.parametrize("shares", [2, 13, 36])
def test_shares_add_up_to_the_noise_that_is_claimed(shares: int) -> None:
    sigma, draws = 100.0, 100_000
    total = sum(draw_noise(bytes([site]) * 32, sigma / math.sqrt(shares), draws) for site in range(shares))
    assert float(np.var(total)) == pytest.approx(sigma**2, rel=0.02)
    assert abs(float(np.mean(total))) < 4 * sigma / math.sqrt(draws)


def test_noise_is_a_function_of_its_key() -> None:
    first = draw_noise(KEY, 40.0, 1000)
    assert np.array_equal(first, draw_noise(KEY, 40.0, 1000))
    assert not np.array_equal(first, draw_noise(bytes(32), 40.0, 1000))


def test_the_words_are_the_cipher_and_go_on() -> None:
    encryptor = Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor()
    wanted = np.frombuffer(encryptor.update(bytes(80)), "<u8")
    stream = Keystream(KEY)
    assert [*stream.read_words(3), *stream.read_words(7)] == wanted.tolist()


def test_a_word_that_equals_thresholds_is_decided_by_the_next() -> None:
    high, low = np.array([5, 9, 9, 2**64 - 1], np.uint64), np.array([1, 2**62, 2**63, 2**64 - 1], np.uint64)
    table = Table(-1, high, low)
    stream = Keystream(KEY)
    found = table.invert(np.full(1000, 9, np.uint64), stream)
    second = Keystream(KEY).read_words(1000).tolist()
    assert found.tolist() == [sum(word >= bound for bound in (2**62, 2**63)) for word in second]
    assert set(found.tolist()) == {0, 1, 2}
    assert table.invert(np.array([0, 6, 10, 2**64 - 1], np.uint64), stream).tolist() == [-1, 0, 2, 2]


def test_no_noise_is_an_error() -> None:
    with pytest.raises(ValueError, match="above 0"):
        build_table(0.0)
