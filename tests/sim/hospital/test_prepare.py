"""What became of the lesions of several hospitals, added by cohort and told in words."""

from __future__ import annotations

from client.data.dataset.index_report import Intake
from client.faults.catalogue import REASONS
from sim.hospital.prepare import Hospitals, PreparedHospital, describe_skip

ONE = {
    "training_a": Intake(5, 1, {"too-small": 2}, {"unreadable-clip": 1}),
    "external_test_c": Intake(3, 0, {}, {}),
    "": Intake(0, 0, {}, {"unreadable-clip": 1}),
}
OTHER = {"training_a": Intake(4, 0, {"too-small": 1, "too-young": 1}, {"still-image": 2})}
BOTH = Hospitals(
    {}, {"site-01": PreparedHospital("site-01", 13, ONE), "site-02": PreparedHospital("site-02", 8, OTHER)}
)


def test_each_lesion_is_counted_once() -> None:
    assert [made.read for made in BOTH.prepared.values()] == [8, 4]
    assert BOTH.prepared["site-01"].skipped == {"unreadable-clip": 2}
    found = BOTH.intake
    assert sum(one["listed"] for one in found.values()) == sum(made.lesions for made in BOTH.prepared.values())
    assert found["training_a"]["excluded"] == {"too-small": 3, "too-young": 1}
    assert (found["training_a"]["listed"], found["training_a"]["look"]) == (17, 1)
    assert found["external_test_c"] == {"listed": 3, "look": 0, "excluded": {}, "skipped": {}}


def test_skips_are_told_in_words() -> None:
    assert BOTH.skipped == {"A clip is damaged, or its decoder rejects it": 2, describe_skip("still-image"): 2}
    assert BOTH.intake[""]["skipped"] == {"A clip is damaged, or its decoder rejects it": 1}
    words = [describe_skip(slug) for slug in REASONS]
    assert all(" " in one and not one.endswith(".") and ". " not in one for one in words)
    assert describe_skip("another") == "another"
