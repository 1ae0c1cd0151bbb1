"""What a committee reads is what the results say, in whole lesions; its questions are always there."""

from __future__ import annotations

from typing import Any

import pytest

from ceus_models.bundle.committee_summary import describe_for_committee
from ceus_models.bundle.model_card import render_model_card
from tests.ceus_models.bundle.test_model_card import ABOUT


def share(value: float, n: int = 50) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.05, "n": n}


MODEL = {
    "n": 312,
    "accuracy": share(0.86),
    "support": {"HCC": 134, "HM": 72, "ICC": 106},
    "calibration": {"all": {"ece": 0.071, "predicted": [], "observed": [], "n": []}},
    "recall": {"HCC": share(0.9), "ICC": share(0.61, 28), "OT": {"value": None, "low": None, "high": None, "n": 0}},
}
GAP = {"highest": "male", "lowest": "female", "difference": share(0.12)}
BESIDE = {"value": -0.02, "low": -0.081, "high": 0.04, "non_inferior": False, "margin": 0.05}
RESULTS: dict[str, Any] = {
    "cohorts": {"internal_test": {"models": {"D": {"n": 9}}}, "external_test_c": {"models": {"D": {}, "DCB": MODEL}}},
    "use": {
        "all_tests": {
            "fusion/DCB": {
                "predictive": {
                    "malignant": {"sensitivity": share(0.93), "0.10": {"ppv": share(0.41), "npv": share(0.9)}}
                }
            }
        }
    },
    "gaps": {
        "external_test_c": {
            "fusion/DCB": {
                "sex": {**GAP, "adjusted": {**GAP, "difference": share(0.04)}},
                "age": {**GAP, "difference": share(0.05)},
            }
        }
    },
    "readers": {
        "external_test_c": {
            "multi_reader": {
                "senior": {"against": {"fusion/D": {}, "fusion/DCB": {"alone": BESIDE}}},
                "mri": {"against": {"fusion/DCB": {"alone": {**BESIDE, "low": None}}}},
                "junior": {"against": {"fusion/DCB": {"alone": {**BESIDE, "low": 0.1, "non_inferior": True}}}},
            }
        }
    },
    "heterogeneity": {"external_test_c": {"fusion/DCB": {"sites": 6, "prediction": {"low": 0.64, "high": 0.95}}}},
}


def test_numbers_are_said_in_lesions_of_a_hundred() -> None:
    text = "\n".join(describe_for_committee(RESULTS))
    for said in (
        "On the 312 lesions of external test C, model DCB names 86 of 100 (95 % interval 76 to 91) rightly.",
        "Always answering hepatocellular carcinoma would be right for 43 of 100 of them.",
        "Of the malignant lesions (HCC, HM, ICC) of all tests it calls 93 of 100 (95 % interval 83 to 98) malignant.",
        "Where 10 of 100 lesions are malignant: of those it calls malignant 41 of 100 (95 % interval 31 to 46) are; "
        "of the others 90 of 100 (95 % interval 80 to 95) are not.",
        "how often they come true lie 7 of 100 apart",
        "worst at intrahepatic cholangiocarcinoma: 61 of 100 (95 % interval 51 to 66) are named so, of 28 lesions",
        "between groups (sex) is male over female by 12 of 100 (2 to 17); beyond what lesion types explain male over "
        "female by 4 of",
        "Beside senior radiologists reading alone (external test C) model DCB names 2 of 100 fewer rightly (95 % "
        "interval 8 fewer to 4 more, other readers and lesions in mind): not shown to be not worse by more than 5 of "
        "100.",
        "interval 10 more to 4 more, other readers and lesions in mind): not worse by more than 5 of 100.",
        "would see 64 to 95 of 100 named rightly (95 % prediction interval, 6 hospitals of external test C)",
    ):
        assert said in text, said
    assert "readers of MRI" not in text


@pytest.mark.parametrize("results", [{}, {"cohorts": {"external_test_c": {"models": {"DCB": {"n": 3}}}}}])
def test_what_is_not_known_is_left_out_and_the_questions_stay(results: dict[str, Any]) -> None:
    text = "\n".join(describe_for_committee(results))
    assert "of 100" not in text
    assert "None" not in text
    assert text.count("?\n") == 4
    assert "Not for" in text


def test_it_begins_the_card_and_says_where_figures_are_optimistic() -> None:
    card = render_model_card(ABOUT, {"results": {**RESULTS, "chosen_on": {"validation": ["disease/HCC"]}}})
    assert card.index("## In short, for a committee") < card.index("## What it is")
    assert "chosen by their loss on validation" in card
    assert "chosen by their loss" not in render_model_card(ABOUT, {"results": RESULTS})
