from __future__ import annotations

import pytest

from ceus_models.plan.terms.deadlines import Deadlines, ResponseTimes
from ceus_models.plan.terms.participation import FAULTS
from ceus_models.protocol.messages import Task

TASK = Task("train", "study", 1, "submodels", 1)
PLAN = Deadlines(first_s=1000.0, factor=3.0, least_s=10.0, most_s=5000.0)


def test_a_site_without_history_gets_the_plans_first_time() -> None:
    assert ResponseTimes(PLAN).compute_limit("a", TASK) == 1000.0


def test_a_site_gets_a_multiple_of_the_longest_of_its_last_five_within_the_plans_bounds() -> None:
    told = ResponseTimes(PLAN)
    for seconds in (400.0, 20.0, 50.0, 30.0, 20.0, 20.0):
        told.record_answer("a", "submodels", "train", seconds)
    assert told.compute_limit("a", TASK) == 150.0
    told.record_answer("a", "submodels", "train", 4000.0)
    assert told.compute_limit("a", TASK) == 5000.0
    told.record_answer("b", "submodels", "train", 1.0)
    assert told.compute_limit("b", TASK) == 10.0
    assert told.compute_limit("b", Task("evaluate", "study", 1, "submodels", 1)) == 1000.0


def test_a_late_site_gets_longer_and_a_dead_one_does_not() -> None:
    told = ResponseTimes(PLAN)
    told.record_answer("a", "submodels", "train", 100.0)
    limits = []
    for _ in range(FAULTS + 1):
        limits.append(told.compute_limit("a", TASK))
        told.record_miss("a")
    assert limits == [300.0, 600.0, 1200.0, 300.0]
    for _ in range(FAULTS):
        told.record_miss("new")
    assert told.compute_limit("new", TASK) == 10.0


def test_histories_go_on_from_the_mirror() -> None:
    told = ResponseTimes(PLAN)
    told.load_line({"event": "sent", "site": "a"})
    told.load_line({"event": "came", "site": "a", "stage": "submodels", "kind": "train", "seconds": 100.0, "fault": ""})
    assert told.compute_limit("a", TASK) == 300.0
    told.load_line({"event": "lost", "site": "a", "fault": "it went away"})
    assert told.compute_limit("a", TASK) == 600.0


@pytest.mark.parametrize("wrong", [{"factor": 0.5}, {"attempts": 0}, {"least_s": 0.0}, {"first_s": 9e9}])
def test_bounds_that_cannot_hold_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Deadlines(**wrong)  # type: ignore[arg-type]
