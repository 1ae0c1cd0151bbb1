"""The study's rules of inclusion: each reason, each edge, and what a blank means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ceus_models.study.inclusion import EXCLUSIONS, STUDY_RULES, Facts, Inclusion, describe_exclusion, find_exclusion
from ceus_models.study.processing import Processing

TAKEN = Facts("HCC", 18.0, 1.1, 17, True, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"years": 17.0}, "too-young"),
        ({"cm": 1.0}, "too-small"),
        ({"recorded": 0}, "no-clinical-data"),
        ({"pathology": False}, "no-pathology"),
        ({"pathology": False, "followed_up": True}, "no-pathology"),
        ({"label": "HH", "pathology": False, "followed_up": True}, ""),
        ({"label": "HA", "pathology": False, "followed_up": False}, "no-follow-up"),
        ({"label": "OT", "pathology": None, "followed_up": False}, "no-follow-up"),
        ({"label": "HH", "pathology": True, "followed_up": False}, ""),
        ({"years": None, "cm": None, "recorded": 1, "pathology": None}, ""),
        ({"label": None, "pathology": False, "followed_up": False}, ""),
        ({"years": 3.0, "cm": 0.5, "recorded": 0, "pathology": False}, "too-young"),
    ],
)
def test_a_lesion_counts_under_its_first_reason(change: dict[str, object], reason: str) -> None:
    assert find_exclusion(replace(TAKEN, **change), STUDY_RULES) == reason  # type: ignore[arg-type]
    assert reason in ("", *EXCLUSIONS)


def test_a_plan_may_have_other_rules() -> None:
    anyone = Inclusion(youngest=0, larger_than_cm=0, least_recorded=0, reference_standard=False)
    assert find_exclusion(Facts("HCC", 3.0, 0.4, 0, False, False), anyone) == ""
    assert find_exclusion(replace(TAKEN, recorded=8), Inclusion(least_recorded=9)) == "no-clinical-data"


def test_every_reason_has_words_with_the_rules_own_limits() -> None:
    words = [describe_exclusion(reason, STUDY_RULES) for reason in EXCLUSIONS]
    assert len({*words, *EXCLUSIONS}) == 2 * len(EXCLUSIONS)
    assert not any("-" in one.replace("follow-up", "") for one in words)
    other = Inclusion(youngest=16, larger_than_cm=0.5, least_recorded=9)
    limits = [describe_exclusion(reason, other) for reason in EXCLUSIONS[:3]]
    assert [limit in words for limit, words in zip(("16", "0.5", "9"), limits, strict=True)] == [True] * 3
    assert describe_exclusion("another", STUDY_RULES) == "another"


def test_rules_bind_a_study_and_change_no_sample() -> None:
    ours, other = Processing(), Processing(inclusion=Inclusion(youngest=16))
    assert ours.digest() != other.digest()
    assert ours.digest_of_sample() == other.digest_of_sample()
    assert ours.digest_of_sample() != Processing(flow_maps=5).digest_of_sample()
