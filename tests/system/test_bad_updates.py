"""Stock Flower's eight bad-update cases: what it does to the net, beside what the coordinator does."""

from __future__ import annotations

import pytest

from benchmarks.bad_updates import BAD, compared

STOCK = {
    "NaN weights": "becomes nan",
    "weights of 1e30": "becomes 3.33e+29",
    "one parameter missing": "the run dies: InconsistentMessageReplies",
    "wrong shape": "the run dies: ValueError",
    "1e9 examples": "becomes 5.01",
    "-5 examples": "becomes -0.323",
    "integer counter 7, 8 and 8": "the counter becomes float64 7.67",
    "NaN weights, median": "becomes nan",
}
OURS = {
    "NaN weights": "holds NaN",
    "weights of 1e30": "change of",
    "one parameter missing": "is missing",
    "wrong shape": "must be (3, 2) float32",
    "1e9 examples": "found 1e+09",
    "-5 examples": "found -5",
    "integer counter 7, 8 and 8": "only tensors of the task",
    "NaN weights, median": "holds NaN",
}


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[str, str]]:
    return dict(compared())


@pytest.mark.parametrize("case", STOCK)
def test_what_stock_flower_accepts_or_dies_of_costs_us_one_site_in_one_round(
    found: dict[str, tuple[str, str]], case: str
) -> None:
    stock, ours = found[case]
    assert STOCK[case] in stock
    assert ours.startswith(f"{BAD} excluded:")
    assert OURS[case] in ours
    assert ours.endswith("the net's first weight becomes 1.01"), "what the two honest sites say"
