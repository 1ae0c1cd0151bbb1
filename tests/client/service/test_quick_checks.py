"""The quick checks of the preflight: what keeps a site from starting is told with its fix, before any process runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from made_federation import Lab, lab
from small_hospital import SmallHospital

import client.service.preflight_network
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.findings import Check, run_checks
from client.cli.main import app
from client.courier.approval import approve
from client.courier.fab import contents_of, find_trust
from client.courier.folder import CourierFolder, courier_of
from client.courier.kit import kit_of, site_name
from client.service.preflight_network import Line
from client.service.preflight_site import SiteFolder
from client.worker.audit.log import Audit
from tests.support.open_policy import open_text

PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"


@pytest.fixture
def federation(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


def faults(checks: list[Check]) -> str:
    return "\n".join(f"{one.found} → {one.remedy}" for one in run_checks(checks) if one.state == "fault")


def approved(federation: Lab, courier: CourierFolder) -> None:
    kit = kit_of(courier)
    assert kit
    approve(courier, contents_of(federation.bundle(), find_trust(kit)), "it", federation.now)


def test_a_courier_starts_from_its_own_folder_alone(
    federation: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    with pytest.raises(ExpectedError, match="ceus-site keys"):
        site_name(courier_of(folder))
    assert "this site has not joined a federation → run `ceus-site join" in faults(
        Line(courier_of(folder)).quick_checks()
    )
    courier = federation.joined(folder)
    said = faults(Line(courier).quick_checks())
    assert "no bundle of this federation is approved" in said
    assert "ceus-site approve" in said
    approved(federation, courier)
    assert faults(Line(courier).quick_checks()) == ""
    assert site_name(courier) == "site-01"
    assert [path.name for path in folder.iterdir()] == ["courier"]
    for days, pattern in (
        (400, r"expired on .*clock shows .*ceus-coordinator renew"),
        (-3, r"clock is behind.*timedatectl"),
    ):
        monkeypatch.setattr(
            client.service.preflight_network, "utc_now", lambda days=days: federation.now + timedelta(days=days)
        )
        assert re.search(pattern, faults(Line(courier).quick_checks()))
    monkeypatch.undo()
    courier.approvals.chmod(0o666)
    assert "chmod go-w" in faults(Line(courier).quick_checks())
    courier.approvals.chmod(0o644)
    courier.logs.rmdir()
    courier.logs.write_bytes(b"")  # also for root nothing can be written there
    assert "let its user own that folder" in faults(Line(courier).quick_checks())


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    folder, plan = tmp_path / "site-01", tmp_path / "plan.yaml"
    folder.mkdir()
    plan.write_text(PLAN)
    SmallHospital(folder, 1).write()
    assert run_app(app, ["index", str(folder), "--plan", str(plan), "--workers", "1"]) == 0
    return folder


def test_a_worker_starts_from_a_folder_that_is_in_order(hospital: Path) -> None:
    assert faults(SiteFolder(hospital).quick_checks()) == ""
    for spoil, said in (
        (lambda: (hospital / "policy.yaml").write_text(open_text(kinds=["x"])), "policy.yaml line 14"),
        (
            lambda: (hospital / "lesions.csv").write_bytes((hospital / "lesions.csv").read_bytes() + b"\n"),
            r"made with another table → run `ceus-site index` again",
        ),
        (lambda: _older(hospital / ".ceus" / "index.json"), "the index of samples cannot be read"),
        ((hospital / ".ceus" / "index.json").unlink, "found no index"),
        (lambda: _audited(hospital / "records"), r"the audit was changed.*ceus-site audit verify"),
        (lambda: (hospital / "site.yaml").write_text("schema: 1\n"), "site.yaml"),
    ):
        _spoilt(hospital, spoil, said)


def _spoilt(hospital: Path, spoil: Callable[[], object], said: str) -> None:
    before = {path: path.read_bytes() for path in hospital.rglob("*") if path.is_file()}
    spoil()
    assert re.search(said, faults(SiteFolder(hospital).quick_checks()))
    for path, content in before.items():
        path.write_bytes(content)
    for path in set(hospital.rglob("*.jsonl")) - set(before):
        path.unlink()


def _older(index: Path) -> None:
    document = json.loads(index.read_bytes())
    del document["settings"]
    index.write_text(json.dumps(document))


def _audited(records: Path) -> None:
    Audit(records).append("pause")
    log = records / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"pause", b"paus3"))


@pytest.mark.parametrize("command", ["serve", "worker", "courier"])
def test_the_commands_say_it_in_one_line_and_start_nothing(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_app(app, [command, str(tmp_path)]) == 1
    assert "ceus-site keys" in capfd.readouterr().err.replace("\n", " ") or command != "worker"
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "home"])
