"""Reporting checklists: whole, answered from the results where they know, open with what is wanted where not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from made_readings import COHORT

from ceus_models.plan.plan import load_plan
from server.report.checklists.answers import ANSWERS, answer
from server.report.checklists.checklist import NAMES, OPEN, fill_item, format_checklist, load_checklist
from server.report.checklists.fixed_answers import FIXED
from server.report.page import SECTIONS, render_section
from server.report.publish import publish_report
from tests.server.report.test_page import blanked, parsed, synthetic

TERMS = load_plan(Path(__file__).parents[4] / "configs" / "plan.demo.yaml").plain()
DECLARED = {"sites": 9, "lesions": 50, "patients": 46, "held_back": 2, "counted": 48}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    gap = {"highest": "male", "lowest": "female", "difference": {"value": 0.07, "low": -0.1, "high": 0.2}, "pairs": 1}
    return {
        **synthetic(),
        "terms": TERMS,
        "flow": {COHORT: DECLARED},
        "missing": {"training_a": {"lesions": 40, "known": {"AFP": 31, "age": 40}}},
        "chosen_on": {"validation": ["disease/HCC"]},
        "privacy": {"epsilon": None, "levels": {"test": "sums"}},
        "gaps": {"all_tests": {"fusion/DCB": {"sex": gap}}},
        "heterogeneity": {
            COHORT: {"fusion/DCB": {"sites": 4, "prediction": {"low": 0.6, "high": 0.9}, "i_squared": 0.31}}
        },
        "table1": {COHORT: {"pathology_confirmed": {"yes": 30, "no": 18}, "manufacturer": {"GE": 20, "Canon": 28}}},
    }


def test_the_lists_are_whole() -> None:
    numbers = {name: [item.number for item in load_checklist(name).items] for name in NAMES}
    assert numbers["claim-2024"] == [str(number) for number in range(1, 45)]
    assert {number.rstrip("abcdefg") for number in numbers["tripod-ai"]} == {str(number) for number in range(1, 28)}
    assert len(set(numbers["tripod-ai"])) == len(numbers["tripod-ai"]) == 52
    assert {number.rstrip("abcd") for number in numbers["stard-ai"]} == {str(number) for number in range(1, 41)}
    assert len(set(numbers["stard-ai"])) == len(numbers["stard-ai"]) == 48


@pytest.mark.parametrize("name", NAMES)
def test_every_item_has_an_answer_or_says_what_is_wanted(name: str, results: dict[str, Any]) -> None:
    asked = {item.answer for item in load_checklist(name).items} - {""}
    assert asked <= {*ANSWERS, *FIXED}
    for found in (results, {}):
        for item in load_checklist(name).items:
            assert any(fill_item(item, found)), item


def test_every_answer_is_asked_for_and_a_run_gives_all_but_a_few(results: dict[str, Any]) -> None:
    asked = {item.answer for name in NAMES for item in load_checklist(name).items}
    assert {*ANSWERS, *FIXED} <= asked
    silent = {key for key in ANSWERS if not answer(key, results)}
    assert silent == {"failures", "robustness", "imbalance"}, "of which these results hold nothing"
    assert {key for key in ANSWERS if answer(key, {})} == {"exclusions", "outcome"}
    assert "cm" not in answer("exclusions", {}), "the rules are the plan's"


def test_answers_are_the_numbers_of_the_results(results: dict[str, Any]) -> None:
    accuracy = results["cohorts"]["internal_test"]["models"]["DCB"]["accuracy"]
    assert f"Internal test: accuracy of DCB {accuracy['value']:.3f}" in answer("performance", results)
    assert answer("sources", results) == "External test C: 9 sites, 50 lesions of 46 patients"
    assert "48 counted" in answer("flow", results)
    intake = {COHORT: {"listed": 60, "look": 1, "excluded": {"too-small": 7}, "skipped": {"The clip is damaged": 2}}}
    assert answer("flow", {**results, "intake": intake}).startswith(
        "External test C: 60 lesions listed (left out: 7 × 1 cm or smaller, 2 × The clip is damaged, "
        "1 × to be looked at first), 9 sites, 50 lesions"
    )
    assert answer("exclusions", results).startswith("Lesions above 1 cm, of patients of at least 18 years, ")
    wider = {"terms": {"processing": {"inclusion": {"youngest": 16, "reference_standard": False}}}}
    assert "at least 16 years" in answer("exclusions", wider)
    assert "confirmed in any way" in answer("exclusions", wider)
    assert "Training A: AFP 9 (of 40)" in answer("missing", results)
    assert "Sex: male over female by 0.070 (-0.100 to 0.200)" in answer("fairness", results)
    assert "I² 31 %, prediction interval 0.600 to 0.900" in answer("heterogeneity", results)
    assert "External test C: 30 of 48" in answer("outcome", results)
    assert "160 rounds, fedavgm, 2 local epochs, batches of 8, learning rate 0.3" in answer("training", results)
    assert "9 key frames" in answer("preparation", results)
    started = {"terms": {"processing": {**results["terms"]["processing"], "start": "clip"}}}
    assert "key frames from the clip's beginning to the peak" in answer("preparation", started)
    assert "lowest loss on Validation" in answer("choice", results)
    assert "none was chosen" in answer("choice", {"chosen_on": {}})
    assert "no bound ε is stated" in answer("privacy", results)
    assert "ε at most 2.5 a patient" in answer("privacy", {"privacy": {"epsilon": 2.5, "levels": {}}})
    assert results["plan_digest"] in answer("plan", results)


def test_numbers_that_are_null_are_dashes(results: dict[str, Any]) -> None:
    nothing = blanked(results)
    for key in ANSWERS:
        assert not re.search(r"\bnan\b|None", answer(key, nothing)), key


def test_the_markdown_is_a_table_that_names_cannot_break(results: dict[str, Any]) -> None:
    text = format_checklist("claim-2024", {**results, "fedceus": "a|b<script>"})
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 44
    assert all(line.replace("\\|", "").count("|") == 5 for line in rows)
    assert "<script" not in text
    assert "Phantom data" in text
    assert f"| 44 | funding |  | {OPEN}: " in text
    assert "Phantom data" not in format_checklist("claim-2024", {**results, "simulated": False})


def test_the_report_shows_them_and_the_files_lie_beside_it(results: dict[str, Any], tmp_path: Path) -> None:
    section = next(section for section in SECTIONS if section.anchor == "checklists")
    page = parsed(render_section(section, results))
    assert page.faults == []
    for title in ("TRIPOD+AI", "CLAIM 2024", "STARD-AI"):
        assert title in page.text
    assert page.text.count(OPEN) > 30
    assert render_section(section, {}) == ""
    publish_report(json.loads(json.dumps(results)), tmp_path)
    for name in NAMES:
        assert (tmp_path / "checklists" / f"{name}.md").read_text(encoding="utf-8") == format_checklist(name, results)
