"""What the report says of how sure a number is: bounds, ties, corrected tests, equivalence and optimistic rows."""

from __future__ import annotations

from typing import Any

from server.report.page import SECTIONS, render_section
from server.report.sections.headline import headline
from server.report.sections.mcnemar_tables import format_equivalence, p_cell, p_cells
from server.report.values import TOO_COARSE, estimate
from server.results.uncertainty.equivalence import compare_trainings
from tests.server.report.test_page import parsed

COHORT = "internal_test"


def shown(anchor: str, results: dict[str, Any]) -> str:
    page = render_section(next(section for section in SECTIONS if section.anchor == anchor), results)
    return " ".join(parsed(page).text.split())


def accuracy(value: float) -> dict[str, Any]:
    return {"accuracy": {"value": value, "low": value - 0.1, "high": value + 0.05, "n": 60}}


def test_a_metric_that_could_be_anything_is_a_dash() -> None:
    fine, coarse = ({"value": 0.8, "low": 0.7, "high": 0.9, "n": 9, "resolution": TOO_COARSE + d} for d in (0.0, 1e-6))
    assert estimate(fine) is not None
    assert estimate(coarse) is None


def test_the_best_model_is_bold_and_of_equals_none_is() -> None:
    def find_bold(*values: float) -> list[bool]:
        models = {name: accuracy(value) for name, value in zip(("D", "DC", "DB", "DCB"), values, strict=True)}
        row = headline({"cohorts": {COHORT: {"n": 60, "models": models}}})["rows"][0]
        return [cell.kind == "strong" for cell in row[1:5]]

    assert find_bold(0.7, 0.8, 0.75, 0.79) == [False, True, False, False]
    assert find_bold(0.7, 0.8, 0.75, 0.8) == [False] * 4


def test_a_test_is_bold_by_its_corrected_p() -> None:
    test = {"p": 0.01, "p_holm": 0.06, "tests": 6, "test": "exact"}
    assert (p_cell(test).kind, p_cell(test).below) == ("", ("Holm 0.060",))
    raw, holm = p_cells(test)
    assert (raw.text, raw.kind, holm.text, holm.kind) == ("0.010", "", "0.060", "")
    assert p_cells({**test, "p_holm": 0.0004})[1] == p_cells({**test, "p_holm": 0.0001})[1]
    assert p_cells({**test, "p_holm": 0.0004})[1].kind == "strong"


def test_the_number_of_tests_stands_under_their_table() -> None:
    pair = {"first": "fusion/D", "second": "fusion/DC", "n": 60, "p": 0.5, "p_holm": 1.0, "tests": 30, "test": "exact"}
    models = {"D": accuracy(0.7), "DC": accuracy(0.8)}
    results = {"cohorts": {COHORT: {"n": 60, "models": models}}, "pairs": {COHORT: [pair]}}
    assert "One of 30 such tests" in shown("models", results)
    del pair["tests"]
    assert "One of" not in shown("models", results)


def test_equivalence_is_said_with_its_margin() -> None:
    found = {"margin": 0.05, "low": -0.02, "high": 0.03, "equivalent": True, "different": False}
    assert (format_equivalence(found).text, format_equivalence(found).below) == (
        "within ±0.05",
        ("90 %: -0.020 to +0.030",),
    )
    assert format_equivalence({**found, "equivalent": False}).text == "not shown within ±0.05"
    assert format_equivalence({**found, "equivalent": False, "different": True}).text == "different"
    assert format_equivalence(None).text == "–"


def test_federated_against_pooled_is_a_test_of_equivalence() -> None:
    arms = {name: {COHORT: accuracy(value)} for name, value in (("federated", 0.8), ("pooled", 0.82))}
    found = compare_trainings(arms, {})
    text = shown("comparison", {"comparison": {**arms, "equivalence": found}})
    difference = found[COHORT]["difference"]
    assert f"-0.020 {difference['low']:+.3f} to {difference['high']:+.3f} not shown within ±0.05 90 %:" in text


def test_rows_of_a_cohort_that_chose_the_round_are_marked() -> None:
    one = {"auc": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 40}, "positives": 20, "negatives": 20}
    results = {
        "nets": {"disease/HCC": {"training_a": one, "validation": one}, "disease/five": {"validation": accuracy(0.7)}},
        "chosen_on": {"validation": ["disease/HCC"]},
    }
    text = shown("modules", results)
    assert "disease/HCC Validation ‡" in text
    assert "Strategy B (five binary nets) Validation ‡" in text
    assert "Training A ‡" not in text
    assert "optimistic" in text
    assert "optimistic" not in shown("modules", {**results, "chosen_on": {}})


def test_the_design_effect_is_said_with_its_assumption() -> None:
    design = {COHORT: {"lesions": 110, "patients": 100, "correlation": 0.5, "effect": 1.1}}
    results = {"cohorts": {COHORT: {"n": 60, "models": {"D": accuracy(0.7)}}}}
    text = shown("headline", {**results, "design": design})
    assert "Internal test 1.10" in text
    assert "correlation of 0.5" in text
    assert "design effect" not in shown("headline", results)
