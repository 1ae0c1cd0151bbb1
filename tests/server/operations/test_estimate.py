"""How long a run still takes, from what its rounds took."""

from __future__ import annotations

from typing import Any

from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.train_stage import Train, Validation
from server.operations.estimate import estimate_run

PLAN = Plan(
    "long",
    (
        Hello("hello"),
        Statistics("statistics"),
        Train("train", "one", ("disease/HCC",), ("training_a",), 4, validate=Validation(every=2)),
        Train("train", "two", ("disease/FNH",), ("training_a",), 3),
        Evaluate("evaluate", "test", ("disease/HCC",), ("external_test_c",), 0),
    ),
)
"""Steps: hello, tally; train, train, evaluate, train, train, evaluate; three times train; evaluate."""


def line(stage: str, kind: str, step: int, seconds: float) -> dict[str, Any]:
    return {"stage": stage, "kind": kind, "step": step, "seconds": seconds}


def test_a_kind_that_was_not_seen_makes_it_a_lower_bound() -> None:
    found = estimate_run(PLAN, [line("hello", "hello", 1, 2.0), line("statistics", "tally", 1, 8.0)])
    assert (found.done, found.rounds, found.spent_s, found.left_s, found.complete) == (2, 12, 10.0, 0.0, False)
    assert str(found) == "round 2 of 12, 10 s so far; how long the others take is not known yet"


def test_a_stage_to_come_takes_what_the_same_kind_took_before_and_the_latest_rounds_count() -> None:
    lines = [line("hello", "hello", 1, 2.0), line("statistics", "tally", 1, 8.0)]
    lines += [line("one", "train", 1, 100.0), line("one", "train", 2, 200.0), line("one", "evaluate", 3, 10.0)]
    found = estimate_run(PLAN, lines)
    assert (found.done, found.complete) == (5, True)
    assert found.left_s == 5 * 150.0 + 2 * 10.0
    lines += [line("one", "train", 4, 60.0), line("one", "train", 5, 60.0), line("one", "evaluate", 6, 20.0)]
    lines += [line("two", "train", 1, 30.0)]
    found = estimate_run(PLAN, lines)
    assert (found.done, found.left_s) == (9, 2 * 30.0 + 15.0)
    assert "about 75 s left of" in str(found)


def test_a_late_hello_takes_nothing_back() -> None:
    lines = [line("hello", "hello", 1, 2.0), line("one", "train", 2, 9.0), line("hello", "hello", 1, 1.0)]
    assert estimate_run(PLAN, lines).done == 4
