"""The whole look on a hospital that is in order but for its line; test_serve_real.py has one with a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_federation import lab
from small_hospital import SmallHospital
from toy_lesions import recipe

import client.service.preflight_training
from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app

PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"
NAMES = ["kit", "approval", "courier", "proxy", "TLS", "clock", "ports", "upload", "folders", "disk", "memory"]
NAMES += ["shared memory", "cgroup", "open files", "site", "policy", "index", "audit", "data contract", "GPU"]
NAMES += ["dry run", "throughput"]


def test_each_failure_comes_with_its_remedy_and_the_rest_is_looked_at_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(client.service.preflight_training, "_RECIPE", recipe())  # a tiny net
    folder, plan = tmp_path / "site-01", tmp_path / "plan.yaml"
    folder.mkdir()
    plan.write_text(PLAN)
    SmallHospital(folder, 2).write()
    assert run_app(app, ["index", str(folder), "--plan", str(plan), "--workers", "1"]) == 0
    federation = lab(tmp_path / "co", _closed())
    federation.joined(folder)
    capfd.readouterr()
    assert run_app(app, ["preflight", str(folder), "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    states = {finding["name"]: finding["state"] for finding in found["findings"]}
    assert [name for name, state in states.items() if state == "fault"] == ["approval", "TLS"]
    assert all(finding["remedy"] for finding in found["findings"] if finding["state"] != "ok")
    assert list(states) == NAMES
    assert states["dry run"] == states["throughput"] == states["data contract"] == "ok"
    assert run_app(app, ["preflight", str(tmp_path / "nothing")]) == 1
    said = " ".join(capfd.readouterr().out.split())
    assert "FAULT kit: this site has not joined a federation → run ceus-site join" in said
    assert "mend the faults from the top" in said
    assert not (tmp_path / "nothing").exists()


def _closed() -> str:
    """A federation at a port where nobody listens."""
    return "schema: 1\nname: lab\naddress: localhost:9\nplan: plan.yaml\nsites: [site-01]\n"
