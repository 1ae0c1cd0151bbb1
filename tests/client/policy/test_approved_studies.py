"""What is approved, as the worker reads it: names, versions, reviewers, and a file that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from client.policy.approved_studies import (
    APPROVED_FILE,
    ApprovedStudy,
    change_approved,
    list_processings,
    read_approved,
    read_plan_values,
    write_plan,
)

AT = datetime(2026, 11, 29, tzinfo=UTC)
SMOKE = load_plan(Path(__file__).parents[3] / "configs" / "plan.smoke.yaml")


def study(digit: str, name: str = "liver", *reviewers: str) -> ApprovedStudy:
    return ApprovedStudy(
        study=name, plan_digest=digit * 64, bundle=f"bundle {digit}", reviewers=reviewers or ("it",), approved=AT
    )


def test_nothing_is_approved_before_the_first_time(tmp_path: Path) -> None:
    assert read_approved(tmp_path / "records").in_force() == {}


def test_several_versions_hold_until_each_is_taken_back_and_the_name_stays(tmp_path: Path) -> None:
    for one in (study("a"), study("b"), study("c", "lung")):
        change_approved(tmp_path, lambda known, one=one: known.with_study(one))
    known = read_approved(tmp_path)
    assert known.in_force() == {"a" * 64: "liver", "b" * 64: "liver", "c" * 64: "lung"}
    assert (known.find("liver"), known.find_last("liver")) == (("a" * 64, "b" * 64), "b" * 64)
    change_approved(tmp_path, lambda known: known.without("bundle b", AT))
    known = read_approved(tmp_path)
    assert list(known.in_force().values()) == ["liver", "lung"]
    assert known.names()["b" * 64] == "liver"
    assert known.find_last("bone") is None


def test_as_many_people_must_approve_as_are_wanted(tmp_path: Path) -> None:
    change_approved(tmp_path, lambda known: known.model_copy(update={"reviewers": 2}).with_study(study("a")))
    assert read_approved(tmp_path).in_force() == {}
    assert read_approved(tmp_path).find_last("liver") is None
    change_approved(tmp_path, lambda known: known.with_study(study("a", "liver", "it", "officer")))
    assert list(read_approved(tmp_path).in_force()) == ["a" * 64]
    change_approved(tmp_path, lambda known: known.model_copy(update={"reviewers": 3}))
    assert read_approved(tmp_path).in_force() == {}


@pytest.mark.parametrize("content", ["", "{", '{"version": 2}', '{"studies": [{"study": "x"}]}'])
def test_a_file_that_cannot_be_read_approves_nothing_and_is_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / APPROVED_FILE).write_text(content)
    with pytest.raises(ExpectedError, match="restore it from a backup"):
        read_approved(tmp_path)
    with pytest.raises(ExpectedError, match="restore it"):
        change_approved(tmp_path, lambda known: known.with_study(study("a")))
    assert (tmp_path / APPROVED_FILE).read_text() == content


def test_the_processing_is_that_of_each_studys_approved_plan(tmp_path: Path) -> None:
    digest = SMOKE.digest()
    write_plan(tmp_path, digest, SMOKE.canonical())
    entry = study("a").model_copy(update={"plan_digest": digest})
    change_approved(tmp_path, lambda known: known.with_study(entry).with_study(study("b", "without a plan")))
    assert list_processings(tmp_path) == {"liver": SMOKE.processing}
    values = read_plan_values(tmp_path, digest)
    assert values
    assert values["name"] == "smoke"
    assert read_plan_values(tmp_path, "b" * 64) is None
