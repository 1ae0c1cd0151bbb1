"""The verdict on a bundle: the bytes first, then the run's settings."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from made_bundles import FEDERATION, OURS, TRUST, signed_bundle
from made_federation import NOW

from client.courier.approval import (
    ApprovalFault,
    approvals,
    approve,
    in_force,
    list_refused,
    list_reviewers,
    list_setting_changes,
    refusal_reason,
    refuse,
    want_reviewers,
    withdraw,
)
from client.courier.fab import Contents
from client.courier.fab import contents_of as contents_by
from client.courier.folder import CourierFolder


def contents_of(bundle: bytes) -> Contents:
    return contents_by(bundle, TRUST)


OTHER_PLAN = "{name: tiny, quorum: {share: 0.5}, stages: [{stage: hello}]}"
RUN = {"plan": "/srv/plan.yaml", "out": "/srv/out", "seed": 7, "sites": 12}
SETTINGS = {**contents_of(OURS).settings, **RUN}


@pytest.fixture
def courier(tmp_path: Path) -> CourierFolder:
    folder = CourierFolder(tmp_path / "courier")
    approve(folder, contents_of(OURS), "it", NOW)
    return folder


def verdict(courier: CourierFolder, content: bytes, settings: dict[str, object] | None = None) -> str | None:
    return refusal_reason(in_force(courier), content, FEDERATION, settings or SETTINGS)  # type: ignore[arg-type]


def test_what_was_approved_runs_with_the_runs_own_settings(courier: CourierFolder) -> None:
    assert verdict(courier, OURS) is None
    found = approvals(courier)[0]
    assert (found.by, found.approved, found.sha256) == ("it", NOW, contents_of(OURS).sha256)


def test_every_changed_byte_is_refused_unread(courier: CourierFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr("zipfile.ZipFile", never)
    source = random.Random(3)
    for place in source.sample(range(len(OURS)), 200):
        edited = bytearray(OURS)
        edited[place] ^= 1 << source.randrange(8)
        assert "is not approved at this site" in (verdict(courier, bytes(edited)) or "")


def test_nothing_approved_means_nothing_runs(tmp_path: Path) -> None:
    assert "is not approved" in (verdict(CourierFolder(tmp_path), OURS) or "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"federation": "other:" + "-".join(["0123"] * 8)}, "'federation' differs from the approved one"),
        ({"plan-digest": "cd" * 32}, "'plan-digest' differs"),
        ({"epochs": 9}, "'epochs' is none of the approved bundle"),
        ({"seed": "7"}, "'seed' has another type"),
        ({"seed": True}, "'seed' has another type"),
        ({"out": "x" * 5000}, "'out' is longer than 4096"),
        ({"x" * 100: 1}, "'" + "x" * 40 + "' is none"),
    ],
)
def test_run_settings_beyond_the_approved_are_refused(
    courier: CourierFolder, settings: dict[str, object], said: str
) -> None:
    assert said in (verdict(courier, OURS, {**SETTINGS, **settings}) or "")


def test_it_may_fix_a_setting_that_runs_set_themselves(courier: CourierFolder) -> None:
    text = courier.approvals.read_text()
    courier.approvals.write_text(text.replace('"seed",', ""))
    assert "'seed' differs from the approved one" in (verdict(courier, OURS) or "")


def test_a_bundle_does_not_run_where_the_site_has_joined_another_federation_since(courier: CourierFolder) -> None:
    moved = refusal_reason(approvals(courier), OURS, "other:0", SETTINGS)
    assert "approved for another federation" in (moved or "")


def test_changed_run_settings_are_told_but_for_those_that_the_plan_tells(courier: CourierFolder) -> None:
    before = approvals(courier)[-1]
    new = contents_of(signed_bundle(OTHER_PLAN))
    assert list_setting_changes(before, new) == []
    settings = {**new.settings, "seed": 5, "epochs": 2}
    del settings["out"]
    assert list_setting_changes(before, replace(new, settings=settings)) == [
        "setting epochs: new, 2",
        "setting out: gone (was '')",
        "setting seed: 0 → 5",
    ]


def test_what_was_refused_or_taken_back_is_remembered_until_it_is_approved(courier: CourierFolder) -> None:
    sha = contents_of(OURS).sha256
    withdraw(courier, sha)
    refuse(courier, "ab" * 32)
    refuse(courier, sha)
    assert list_refused(courier) == ("ab" * 32, sha)
    approve(courier, contents_of(OURS), "it", NOW)
    assert list_refused(courier) == ("ab" * 32,)


def test_two_bundles_may_be_approved_and_one_taken_back(courier: CourierFolder) -> None:
    new = signed_bundle(OTHER_PLAN)
    approve(courier, contents_of(new), "it", NOW)
    approve(courier, contents_of(new), "it", NOW)  # again is once
    assert len(approvals(courier)) == 2
    assert verdict(courier, OURS) is None
    gone = withdraw(courier, contents_of(OURS).sha256[:12])
    assert gone.sha256 == contents_of(OURS).sha256
    assert "is not approved" in (verdict(courier, OURS) or "")
    for digits in ("", "zz"):
        with pytest.raises(ApprovalFault, match="0 approved bundles begin with"):
            withdraw(courier, digits)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_approvals_that_others_may_write_count_for_nothing(courier: CourierFolder, mode: int) -> None:
    courier.approvals.chmod(mode)
    with pytest.raises(ApprovalFault, match="others than its owner may write.*chmod go-w"):
        approvals(courier)


def test_damaged_approvals_count_for_nothing(courier: CourierFolder) -> None:
    courier.approvals.write_text(courier.approvals.read_text()[:-20])
    with pytest.raises(ApprovalFault, match="cannot be read.*restore"):
        approvals(courier)


def test_where_two_must_approve_one_alone_does_not_open_the_site(courier: CourierFolder) -> None:
    want_reviewers(courier, 2)
    assert "is not approved at this site" in (verdict(courier, OURS) or ""), "from the next message on"
    sha = contents_of(OURS).sha256
    with pytest.raises(ApprovalFault, match="it approved this bundle already, and 2 people must"):
        list_reviewers(courier, sha, "it")
    with pytest.raises(ApprovalFault, match="let another do it"):
        approve(courier, contents_of(OURS), "it", NOW)
    approve(courier, contents_of(OURS), "privacy officer", NOW)
    assert verdict(courier, OURS) is None
    assert approvals(courier)[0].reviewers == ("it", "privacy officer")
    approve(courier, contents_of(OURS), "it", NOW)
    assert approvals(courier)[0].reviewers == ("it", "privacy officer"), "approved again, and nobody is lost"
    want_reviewers(courier, 3)
    assert in_force(courier) == ()


@pytest.mark.parametrize("count", [0, 10])
def test_the_number_of_reviewers_is_a_sensible_one(courier: CourierFolder, count: int) -> None:
    with pytest.raises(ApprovalFault, match="1 to 9 people"):
        want_reviewers(courier, count)
