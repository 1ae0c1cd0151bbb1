"""The settings of a run, as the coordinator takes them from Flower."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.runtime.errors import ExpectedError
from server.rounds.events import Answered, Finished, Started
from server.server_app import Settings, check_approved, describe_event, parse_settings

GOOD = {"plan": "p.yaml", "out": "runs", "seed": 1, "sites": 4, "federation": "x", "plan-digest": "ab"}


def test_settings_have_their_types() -> None:
    assert parse_settings(GOOD) == Settings(Path("p.yaml"), Path("runs"), 1, 4)
    with pytest.raises(ExpectedError, match="plan must be str, seed must be int, sites must be int"):
        parse_settings({**GOOD, "plan": 3, "seed": True, "sites": 1.0})


def test_only_the_plan_that_the_sites_approved_is_walked() -> None:
    check_approved(GOOD, "ab")
    check_approved({**GOOD, "plan-digest": ""}, "cd")
    with pytest.raises(ExpectedError, match="approved bundle, ab, found cd: run .*init"):
        check_approved(GOOD, "cd")


def test_what_it_does_is_said_in_words() -> None:
    assert describe_event(Started("fusion", "train", 3, 2, 9, (), ("a", "b"))) == "round 3 of fusion: asking"
    assert describe_event(Answered("fusion", 3, "a", "counted", "", 1, 2)) == "round 3 of fusion: 1 of 2 answered"
    assert describe_event(Finished(RoundRecord("fusion", "train", 3), 3, 9, ())) == "saving round 3 of fusion"
