"""ε of composed releases: by hand, against opacus on the same steps, and in any order."""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
from opacus.accountants import RDPAccountant

from ceus_models.protocol.privacy.accountant import ORDERS, compose, compute_epsilon, noise_for

GRID = list(itertools.product((0.8, 3.8, 10.6, 28.6), (1, 50, 400), (1e-6, 1e-5, 1e-3)))


@pytest.mark.parametrize(("noise", "rounds", "delta"), GRID)
def test_epsilon_is_that_of_opacus_accountant_on_the_same_steps(noise: float, rounds: int, delta: float) -> None:
    accountant = RDPAccountant()
    for _ in range(rounds):
        accountant.step(noise_multiplier=noise, sample_rate=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = accountant.get_epsilon(delta=delta, alphas=list(ORDERS))
    assert compute_epsilon(compose([noise] * rounds), delta) == pytest.approx(max(0.0, wanted), rel=1e-9)


def test_epsilon_is_the_least_of_the_closed_form_over_all_orders() -> None:
    z, delta = 1.5, 1e-5
    by_hand = [a / (2 * z**2) + math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1) for a in ORDERS]
    assert compute_epsilon(z, delta) == pytest.approx(min(by_hand), rel=1e-12)


def test_the_designs_own_figures_for_fifty_rounds() -> None:
    for epsilon, one, nine in ((1, 28.6, 85.8), (3, 10.6, 31.8), (10, 3.80, 11.4)):
        assert noise_for(epsilon, 1e-5, rounds=50) == pytest.approx(one, rel=0.003)
        assert noise_for(epsilon, 1e-5, rounds=50, nets=9) == pytest.approx(nine, rel=0.003)


def test_the_noise_for_an_epsilon_is_the_least_that_keeps_it() -> None:
    z = noise_for(3.0, 1e-5, rounds=20, nets=4)
    assert compute_epsilon(compose([z] * 80), 1e-5) <= 3.0 < compute_epsilon(compose([z * 0.9999] * 80), 1e-5)
    with pytest.raises(ValueError, match="allow more"):
        noise_for(0.001, 1e-5)


def test_less_noise_more_releases_and_smaller_deltas_cost_more() -> None:
    by_noise = [compute_epsilon(z, 1e-5) for z in (0.5, 1, 2, 4, 8, 16, 32)]
    by_rounds = [compute_epsilon(compose([20.0] * rounds), 1e-5) for rounds in (1, 2, 5, 10, 100)]
    by_delta = [compute_epsilon(4.0, delta) for delta in (1e-3, 1e-5, 1e-7)]
    assert by_noise == sorted(set(by_noise), reverse=True)
    assert by_rounds == sorted(set(by_rounds))
    assert by_delta == sorted(set(by_delta))


def test_releases_compose_in_any_order_and_grouping() -> None:
    releases = [3.0, 11.0, 0.7, 28.6, 5.5]
    whole = compose(releases)
    assert {compose(order) for order in itertools.permutations(releases)} == {whole}
    assert compose([compose(releases[:2]), compose(releases[2:])]) == pytest.approx(whole, rel=1e-14)
    assert compose([]) == math.inf
    assert compute_epsilon(compose([]), 1e-5) == 0.0
