"""policy.yaml: every fault at once with its line, its example, and changes that hold without a restart."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from ceus_models.runtime.errors import FaultList
from client.policy.policy import APPROVED, Policy
from client.policy.policy_file import PolicyFile, load_policy, policy_values
from tests.support.open_policy import open_policy, open_text

EXAMPLE = resources.files("client.cli").joinpath("policy.example.yaml").read_text(encoding="utf-8")


def written(folder: Path, text: str) -> Path:
    (folder / "policy.yaml").write_text(text, encoding="utf-8")
    return folder


def test_the_example_is_the_default_policy_and_names_every_setting(tmp_path: Path) -> None:
    assert load_policy(written(tmp_path, EXAMPLE)) == Policy(APPROVED)
    assert not list(Policy(APPROVED).list_risks())
    values = policy_values(open_policy())
    for section in (values, values["caps"], values["privacy"], values["machine"]):
        assert all(f"{name}:" in EXAMPLE for name in section)


def test_what_the_example_shows_in_comments_is_a_policy_too(tmp_path: Path) -> None:
    """The lines that are switched off are as good as those that are on."""
    lines = EXAMPLE.splitlines()
    starts = ("# rounds_per_day:", "# accept_risk:", "# hours:", "  # memory_share:", "  # max_clip:")
    on = [line.replace("# ", "", 1) if line.startswith(starts) else line for line in lines]
    policy = load_policy(written(tmp_path, "\n".join(on)))
    assert policy.rounds_per_day == 200
    assert str(policy.hours) == "18:00 to 07:00 Asia/Shanghai, on mon, tue, wed, thu, fri"
    assert (policy.machine.memory_share, policy.caps.max_clip) == (0.5, 10.0)


def test_hours_need_no_quotes(tmp_path: Path) -> None:
    """YAML 1.1 reads 18:00 as 1080."""
    policy = load_policy(written(tmp_path, open_text() + "hours: {open: 18:00, close: 07:00, zone: UTC}\n"))
    assert str(policy.hours) == "18:00 to 07:00 UTC, every day"


def test_all_faults_come_at_once_with_line_rule_and_remedy(tmp_path: Path) -> None:
    text = """\
schema: 3
kinds: [train, gossip]
nets: [disease/HCC, disease/ABC]
caps:
  max_epochs: 2.5
  max_epoch: 3
  optimizers: [sgd, lion]
minimum_lesions: 0
hours:
  open: "25:00"
  close: "07:00"
  zone: Atlantis
privacy: maybe
machine: {threads: "4", gpus: [-1], memory_share: 1.5}
"""
    with pytest.raises(FaultList) as caught:
        load_policy(written(tmp_path, text))
    faults = caught.value.faults
    assert {fault.column: fault.row for fault in faults} == {
        "studies": 1,
        "schema": 1,
        "kinds[1]": 2,
        "nets[1]": 3,
        "caps.max_epochs": 5,
        "caps.max_epoch": 6,
        "caps.optimizers[1]": 7,
        "minimum_lesions": 8,
        "hours.open": 10,
        "hours.zone": 12,
        "privacy": 13,
        "machine.threads": 14,
        "machine.gpus[0]": 14,
        "machine.memory_share": 14,
    }
    assert all(fault.file == "policy.yaml" and fault.rule and fault.remedy for fault in faults)
    assert [fault.row for fault in faults] == sorted(fault.row or 0 for fault in faults)


@pytest.mark.parametrize("text", ["", "just words", "studies: any\nstudies: any\n", "studies: [", "[1, 2]"])
def test_what_is_no_policy_is_a_fault(tmp_path: Path, text: str) -> None:
    with pytest.raises(FaultList, match=r"policy\.yaml"):
        load_policy(written(tmp_path, text))


def test_a_changed_file_is_another_edition_and_an_unchanged_one_is_not_read_again(tmp_path: Path) -> None:
    file = PolicyFile(written(tmp_path, open_text(minimum_lesions=3)))
    first = file.load_current()
    assert first.policy is not None
    assert file.load_current() is first
    written(tmp_path, open_text(minimum_lesions=4))  # as long as before, and within the same second
    second = file.load_current()
    assert second.policy is not None
    assert (first.policy.minimum_lesions, second.policy.minimum_lesions) == (3, 4)


def test_a_faulty_or_absent_file_is_an_edition_without_a_policy(tmp_path: Path) -> None:
    file = PolicyFile(tmp_path)
    assert file.load_current().policy is None
    written(tmp_path, open_text(minimum_lesions="none"))
    edition = file.load_current()
    assert edition.policy is None
    assert edition.faults is not None
    assert "minimum_lesions" in str(edition.faults)
