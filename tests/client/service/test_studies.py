"""Studies by the names that people use: from approvals and from the policy, and what it means to leave one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_hospital import SmallHospital

from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import SiteConfig, load_site
from client.policy.approved_studies import APPROVED_FILE, ApprovedStudy, change_approved
from client.policy.policy_file import load_policy
from client.service.studies import find_digests, join_studies, leave_studies, list_names
from client.worker.audit.log import entries
from client.worker.site.opt_out import EVERY_STUDY, read_participation
from tests.support.open_policy import open_text

AT = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> SiteConfig:
    SmallHospital(tmp_path, 1).write()
    (tmp_path / "policy.yaml").write_text(open_text(studies={"ours": "e" * 64}))
    made = load_site(tmp_path)
    for digit in "ab":
        one = ApprovedStudy(study="liver", plan_digest=digit * 64, bundle=digit, reviewers=("it",), approved=AT)
        change_approved(made.records, lambda known, one=one: known.with_study(one))
    return made


def test_names_come_from_approvals_and_from_the_policy(site: SiteConfig) -> None:
    assert list_names(site, load_policy(site.folder)) == {"a" * 64: "liver", "b" * 64: "liver", "e" * 64: "ours"}
    assert find_digests(site, "liver") == ("a" * 64, "b" * 64)
    assert find_digests(site, "ours") == ("e" * 64,)
    assert find_digests(site, "9" * 64) == ("9" * 64,)
    assert find_digests(site, None) == (EVERY_STUDY,)
    with pytest.raises(ExpectedError, match="no study 'livre' is known here; known are liver, ours"):
        find_digests(site, "livre")


def test_a_site_leaves_a_study_whatever_is_damaged(site: SiteConfig) -> None:
    (site.folder / "policy.yaml").write_text("[")
    assert find_digests(site, "liver") == ("a" * 64, "b" * 64)
    (site.records / APPROVED_FILE).write_text("{")
    assert find_digests(site, "9" * 64) == ("9" * 64,)


def test_who_leaves_a_study_leaves_every_version_of_it_and_joins_all_again(site: SiteConfig) -> None:
    memory = site.work / "memory"
    for digit in "abe":
        (memory / (digit * 64)[:16]).mkdir(parents=True)
    leave_studies(site, find_digests(site, "liver"), "ada")
    assert set(read_participation(site.records).withdrawn) == {"a" * 64, "b" * 64}
    assert [(entry["kind"], entry["by"]) for entry in entries(site.records)] == [("withdraw", "ada")] * 2
    assert join_studies(site, find_digests(site, "liver"), "ada").withdrawn == {}
