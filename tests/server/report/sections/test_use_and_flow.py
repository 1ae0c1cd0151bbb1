"""The sections on flow, use, calibration in numbers, sites and gaps show what the results say."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from made_readings import COHORT, answers, cases, targets_of, total_of

from ceus_models.study.taxonomy import FUSION_NETS
from server.report.csv_tables import format_tables
from server.report.figures.flow import _LETTERS_IN, _WIDTH_IN, _place_boxes, flow_figure
from server.report.figures.training import smooth
from server.report.page import SECTIONS, render_section
from server.report.reference_study import study_metric, study_range
from server.results.clinical.summary import summarize_use
from server.results.evaluation import class_names, compute_multi_class, read_counts
from server.results.pooled_cohorts import pool_cohorts
from server.results.population.group_gaps import find_gaps
from server.results.population.heterogeneity import summarize_heterogeneity
from server.results.replicates import Resampling
from server.results.subgroup_results import expect_by_types, summarize_subgroups
from tests.server.report.test_page import Page, parsed

NET, DRAWS = "fusion/DCB", Resampling(3, 100)
SITES = {f"site-{k}": {"n": 30, "right": right} for k, right in enumerate((18, 25, 27, 20))}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    one = total_of(cases(300))
    total = pool_cohorts(one | {name.replace(COHORT, "internal_test"): tensor for name, tensor in one.items()})
    places = ("internal_test", COHORT, "all_tests")
    groups = summarize_subgroups(total, COHORT, NET, DRAWS)
    assert groups is not None
    models = {}
    for net in FUSION_NETS:
        counts = read_counts(total, (COHORT, net), DRAWS, {})
        assert counts is not None
        models[net.removeprefix("fusion/")] = compute_multi_class(counts, class_names(net))
    return {
        "cohorts": {COHORT: {"n": 300, "support": models["DCB"]["support"], "models": models}},
        "use": {place: {net: summarize_use(total, place, net, DRAWS) for net in FUSION_NETS} for place in places},
        "heterogeneity": {COHORT: {NET: summarize_heterogeneity(SITES)}},
        "subgroups": {COHORT: {NET: groups}},
        "gaps": {COHORT: {NET: find_gaps(groups["variables"], 1.0, expect_by_types(total, COHORT, NET))}},
    }


def show(anchor: str, results: dict[str, Any]) -> tuple[Page, str]:
    page = parsed(render_section(next(section for section in SECTIONS if section.anchor == anchor), results))
    assert page.faults == []
    return page, " ".join(page.text.split())


def test_use_shows_curves_predictive_values_and_sets(results: dict[str, Any]) -> None:
    page, text = show("clinical-use", results)
    for place in ("All test sets together", "Internal test", "External test C"):
        for title in ("Malignant against benign", "HCC against the rest"):
            assert f"Decision curve: {title}, {place}" in page.figures
        assert f"Accuracy against coverage: {place}" in page.figures
    found = results["use"]["all_tests"][NET]
    ppv = found["predictive"]["malignant"]["0.10"]["ppv"]
    assert f"{ppv['value']:.3f} {ppv['low']:.3f}–{ppv['high']:.3f}" in text
    sure = found["selective"]["0.5"]
    assert f"above 0.5 {sure['accuracy']['n']} {sure['answered']['value']:.3f}" in text
    sets = results["use"][COHORT][NET]["sets"]
    coverage = sets["coverage"]
    interval = f"{coverage['low']:.3f}–{coverage['high']:.3f}"
    assert f"External test C {coverage['value']:.3f} {interval} {sets['mean_size']:.2f}" in text
    assert "Internal test chose the threshold" in text
    assert show("clinical-use", {})[1] == ""


def test_calibration_stands_in_numbers_with_counts(results: dict[str, Any]) -> None:
    page, text = show("test-sets", results)
    curve = results["cohorts"][COHORT]["models"]["DCB"]["calibration"]
    slope = curve["classes"]["HCC"]["slope"]
    assert f"{slope['value']:.2f} {slope['low']:.2f} to {slope['high']:.2f}" in text
    columns = [curve["classes"]["HM"][key] for key in ("predicted", "observed", "low", "high", "n")]
    for predicted, observed, low, high, n in zip(*columns, strict=True):
        assert f"HM {predicted:.3f} {observed:.3f} {low:.3f}–{high:.3f} {n}" in text
    of_all = [curve["all"][key][0] for key in ("predicted", "observed", "n")]
    assert "lesions × types {:.3f} {:.3f} {:,}".format(*of_all) in text, "without an interval"
    svg = render_section(next(section for section in SECTIONS if section.anchor == "test-sets"), results)
    drawn = svg[svg.index("Reliability curves: External test C") :]
    drawn = drawn[: drawn.index("</svg>")]
    assert all(f">{n}<" in drawn for n in curve["all"]["n"]), "each bin's count is in the drawing"
    assert "Reliability curves: External test C" in page.figures


def test_sites_are_described_by_random_effects(results: dict[str, Any]) -> None:
    _, text = show("test-sets", results)
    found = results["heterogeneity"][COHORT][NET]
    assert f"4 sites, random effects: accuracy {found['mean']['value']:.3f}" in text
    assert f"I² {100 * found['i_squared']:.0f} %" in text
    ends = found["prediction"]
    assert f"between {ends['low']:.3f} and {ends['high']:.3f} (95 % prediction interval)" in text
    assert "the best are missing" not in text, "all sites are shown"
    _, text = show("test-sets", {**results, "flow": {COHORT: {"sites": len(SITES) + 2}}})
    assert "so the best are missing" in text
    assert "random effects" not in show("test-sets", {**results, "heterogeneity": {}})[1]


def test_gaps_name_both_groups(results: dict[str, Any]) -> None:
    _, text = show("subgroups", results)
    one = results["gaps"][COHORT][NET]["age"]
    low, high = one["difference"]["low"], one["difference"]["high"]
    expected = f"{one['highest']} over {one['lowest']} {one['difference']['value']:+.3f} {low:+.3f} to {high:+.3f}"
    adjusted = one["adjusted"]
    beyond = f"{adjusted['highest']} over {adjusted['lowest']} {adjusted['difference']['value']:+.3f}"
    assert f"Age, years {expected} {beyond}" in text


def test_the_study_stands_beside_ours(results: dict[str, Any]) -> None:
    _, text = show("models", results)
    value = results["cohorts"][COHORT]["models"]["DCB"]["macro_recall"]["value"]
    low, high = study_range("macro_recall")
    assert f"Macro-recall {value:.3f}–{value:.3f} 1 {low:.2f}–{high:.2f}" in text
    renamed = {"cohorts": {"internal_test": results["cohorts"][COHORT]}}
    _, text = show("headline", renamed)
    beside = [study_metric("internal_test", model, "accuracy") for model in ("D", "DC", "DB", "DCB")]
    assert all(one is not None and f"{one.value:.2f}" in text for one in beside)
    assert "of the study 0.80 0.72–0.87 0.84" in text


FLOW = {
    "sites": 3,
    "lesions": 50,
    "patients": 46,
    "refused": {"sites": 1, "lesions": 12},
    "excluded": {"sites": 0, "lesions": 0},
    "lost": {"sites": 0, "lesions": 0},
    "held_back": 5,
    "counted": 33,
}


def test_the_flow_is_drawn_and_readers_and_missing_values_stand_below() -> None:
    readers = {"junior1": {"alone": {"accuracy": {"value": 0.7, "low": 0.6, "high": 0.8, "n": 30}}}}
    results = {
        "flow": {COHORT: FLOW, "training_a": {"sites": 1, "lesions": 9, "patients": 8}},
        "readers": {COHORT: {"readers": readers}},
        "missing": {"training_a": {"lesions": 40, "known": {"AFP": 31}}},
        "table1": {COHORT: {"sex": {"male": 20, "female": 10, "unknown": 3}}},
        "intake": {
            COHORT: {
                "listed": 60,
                "look": 2,
                "excluded": {"too-small": 3, "no-pathology": 4},
                "skipped": {"The video cannot be decoded": 1},
            },
            "": {"listed": 2, "look": 0, "excluded": {}, "skipped": {"No cohort": 2}},
        },
    }
    page, text = show("flow", results)
    (drawn,) = (name for name in page.figures if "External test C" in name)
    for part in (
        "3 sites",
        "50 lesions",
        "of 46 patients",
        "60 lesions",
        "Excluded: 7 lesions, 3 × 1 cm or smaller, 4 × malignant without pathology;",
        "Not readable: 1 lesion, 1 × The video cannot be decoded;",
        "looked at the clips: 2 lesions;",
        "12 lesions of 1 site: refused",
        "5 lesions: no type",
        "Counted:, 33 lesions;",
        "Unread:, 3 lesions by junior1, alone;",
        "Read by 1 radiologist:, 30 lesions each",
    ):
        assert part in drawn, part
    other = next(name for name in page.figures if "Training A" in name)
    assert "no evaluation yet" in other
    assert "not known to the coordinator" in other, "as in a federation, where hospitals do not tell it"
    assert "AFP 9 (22 %)" in text
    assert "age –" in text
    assert "Sex 3 (9 %)" in text
    assert "2 more could not be read" in text
    made = format_tables(results)["flow-intake"].splitlines()
    assert f"{COHORT} / excluded / too-small,3.0,,,," in made
    assert show("flow", {})[1] == ""


def test_the_flow_states_the_rules_of_the_plan() -> None:
    results = {
        "flow": {COHORT: FLOW},
        "intake": {COHORT: {"listed": 52, "excluded": {"too-small": 1, "too-young": 1}}},
        "terms": {"processing": {"inclusion": {"youngest": 16, "larger_than_cm": 0.5}}},
    }
    page, _ = show("flow", results)
    assert "Excluded: 2 lesions, 1 × 0.5 cm or smaller, 1 × patient younger than 16 years;" in page.figures[0]


def test_boxes_of_a_flow_lie_inside_below_each_other_and_hold_their_text() -> None:
    many = "\n".join(f"a reason that needs more than one line of its box, number {number}" for number in range(6))
    steps = [("first\nsecond", False), (many, True), ("left", True), ("last", False)]
    text = flow_figure("x", "A cohort", steps)
    assert all(f">{word}<" in text for word in ("first", "second", "left", "last", "A cohort"))
    boxes = _place_boxes(steps)
    assert all(one.top + one.height < other.top for one, other in pairwise(boxes))
    for box in boxes:
        assert 0 <= box.column.left < box.column.left + box.column.width <= _WIDTH_IN
        assert all(len(line) * _LETTERS_IN <= box.column.width for line in box.lines)
    assert " ".join(piece.strip() for piece in boxes[1].lines) == many.replace("\n", " ")


def test_long_learning_curves_are_smoothed_and_short_ones_are_not() -> None:
    values = np.random.default_rng(0).normal(1.0, 0.3, 60)
    assert smooth(values, 1).tolist() == values.tolist()
    found = smooth(values, 5)
    assert found[30] == pytest.approx(values[28:33].mean())
    assert (found[0], found[1], found[-1]) == (values[0], pytest.approx(values[:3].mean()), values[-1])
    for rounds, expected in ((12, False), (60, True)):
        curve = {"rounds": list(range(1, rounds + 1)), "training_loss": values[:rounds].tolist()}
        results = {"nets": {}, "curves": {"submodels": {"disease/HCC": curve}}}
        page = render_section(next(section for section in SECTIONS if section.anchor == "modules"), results)
        assert ("training-raw" in page) == expected
        assert (f"mean of {2 * (rounds // 20) + 1} rounds" in page) == expected


def test_answers_of_the_made_lesions_are_not_perfect() -> None:
    """Or nothing above would be tested."""
    rows = cases(300)
    assert 0.5 < np.mean(answers(rows)[NET].argmax(1) == targets_of(rows)) < 0.95
