"""The table of classical baselines: every number in its place, and the verdict in plain words."""

from __future__ import annotations

from typing import Any

from server.report.sections.comparison import comparison, list_accuracies, list_verdicts
from tests.server.report.sections.test_uncertainty import shown


def share(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.05, "n": 60}


def results(beats: bool) -> dict[str, Any]:
    arms = {name: {"internal_test": {"accuracy": share(0.8)}} for name in ("federated", "pooled")}
    verdict = {"net": "fusion/D", "difference": share(0.061), "beats": beats}
    return {
        "comparison": {
            **arms,
            "classical": {"zones": {"internal_test": {"accuracy": share(0.761), "learned": 9}}},
            "nets": {"disease/five": {"validation": share(0.702)}, "fusion/D": {"internal_test": share(0.7)}},
            "zones_over_nets": {"all_tests": verdict},
        }
    }


def test_each_number_stands_under_its_cohort() -> None:
    found = list_accuracies(results(False))
    assert {name: [one and one.value for one in row.values()] for name, row in found.items()} == {
        "zones": [None, 0.761],
        "disease/five": [0.702, None],
        "fusion/D": [None, 0.7],
    }
    text = shown("comparison", results(False))
    assert "Accuracy Validation Internal test" in text
    assert "Radial zones (randomised trees) – 0.761 0.661–0.811" in text
    assert "only a simulation can pool" in text


def test_the_verdict_says_which_and_by_how_much() -> None:
    amount = "+0.061 (-0.039 to +0.111)"
    assert list_verdicts(results(True)) == [
        f"All test sets together: radial zones beat Model D by more than the interval, {amount}: "
        "the net reads less than the frames hold."
    ]
    assert f"radial zones do not beat Model D by more than the interval, {amount}." in shown(
        "comparison", results(False)
    )


def test_a_run_without_baselines_has_no_table() -> None:
    bare = results(False)
    del bare["comparison"]["classical"], bare["comparison"]["zones_over_nets"]
    assert not comparison(bare)["classical"]
    assert "Radial zones" not in shown("comparison", bare)
    assert list_verdicts({}) == []
