"""The card says what the bundle holds, and nothing where the bundle holds nothing."""

from __future__ import annotations

from typing import Any

from ceus_models.bundle.model_card import RESEARCH_ONLY, render_model_card
from ceus_models.study.taxonomy import COHORTS

ABOUT: dict[str, Any] = {
    "provenance": {"plan": "demo", "seed": "1"},
    "plan": "ab12",
    "processing_digest": "cd34",
    "processing": {"frames_to_peak": 9, "frames_after": 6, "size": 32, "flow_maps": 4, "flow_size": 32},
    "recipe": {
        "architecture": {"spatial_depth": 34, "temporal_depth": 18, "width": 8, "norm": "group"},
        "selected": ["age", "AFP"],
    },
    "taxonomy": {"lesion_types": ["HCC", "HM"]},
    "nets": {"disease/HCC": "77" * 32},
    "thresholds": {"disease/HCC": 0.5},
    "typical": {"lesions": 310, "figures": {"flow": {"lesions": 300, "mean": 0.25, "sd": 0.5}}},
}
ACCURACY = {"value": 0.8123, "low": 0.7, "high": 0.9, "n": 36}
BRIER = {"value": 0.31, "low": 0.2, "high": 0.4, "n": 36}
CURVE = {"predicted": [0.45, 0.91], "observed": [0.5, 0.8], "n": [16, 20], "ece": 0.0833}
DCB: dict[str, Any] = {"accuracy": ACCURACY, "n": 36, "brier": BRIER, "calibration": {"all": CURVE, "classes": {}}}
HCC: dict[str, Any] = {
    "auc": {"value": 0.9, "low": 0.8, "high": 0.95},
    "n": 40,
    "positives": 12,
    "brier": {**BRIER, "value": 0.12},
    "calibration": {**CURVE, "ece": 0.0456},
}
STUDY: dict[str, Any] = {
    "privacy": {"mechanism": "none", "epsilon": None},
    "results": {
        "simulated": True,
        "cohorts": {"internal_test": {"n": 36, "models": {"DCB": DCB}}},
        "nets": {"disease/HCC": {"validation": HCC}},
        "statistics": {"types": {"training_a": {"HCC": 20, "HM": 9}}},
        "participation": [
            {"stage": "submodels", "counted": ["site-01", "site-02"], "lost": {"site-03": "no answer"}},
            {"stage": "submodels", "counted": ["site-01"], "refused": {"site-02": "policy"}},
        ],
    },
}


def test_the_card_says_what_was_found() -> None:
    card = render_model_card(ABOUT, STUDY)
    assert RESEARCH_ONLY in card
    assert "no patient is behind any number" in card
    assert "| fusion/DCB | 36 | 0.812 (0.700 to 0.900) |" in card
    assert "| disease/HCC | 40, 12 positive | 0.900 (0.800 to 0.950) |" in card
    assert "| training A | 20 | 9 |" in card
    assert "| internal test (n = 36) | lesions | accuracy |" in card
    assert not any(f"{cohort} " in card for cohort in COHORTS if "_" in cohort), "cohorts have names in words"
    assert "| submodels | 2 | 2 | site-02, site-03 |" in card
    assert "| flow | 300 | 0.25 | 0.5 |" in card
    assert "ResNet34 over 15 key frames of 32 px" in card
    assert "no bound on privacy" in card
    assert f"| disease/HCC | `{'77' * 32}` |" in card


def test_the_card_says_whether_probabilities_can_be_believed() -> None:
    card = render_model_card(ABOUT, STUDY)
    assert "| fusion/DCB | internal test | 36 | 0.310 (0.200 to 0.400) | 0.083 |" in card
    assert "| disease/HCC | validation | 40 | 0.120 (0.200 to 0.400) | 0.046 |" in card
    assert "| internal test | 0.450 | 0.500 | 16 |\n| internal test | 0.910 | 0.800 | 20 |" in card


def test_the_privacy_of_single_sites_is_the_largest_of_them() -> None:
    card = render_model_card(ABOUT, STUDY | {"privacy": {"site-01": {"epsilon": 1.5}, "site-02": {"epsilon": 2.25}}})
    assert "ε = 2.25 spent at most by a patient" in card


def test_a_bundle_without_a_study_has_a_short_card() -> None:
    card = render_model_card({**ABOUT, "typical": None}, {})
    assert RESEARCH_ONLY in card
    assert "phantoms" not in card
    for title in ("How well it does", "Whether its", "Who took part", "Trained on"):
        assert title not in card
    assert "## Provenance" in card
