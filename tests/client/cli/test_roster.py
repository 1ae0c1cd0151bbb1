"""From the sites' keys to a roster that people approved, by the commands alone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from made_federation import FEDERATION, PLAN

import client.cli.main
import server.cli.main
from ceus_models.protocol.privacy.roster import Roster, parse_roster
from ceus_models.runtime.exit_codes import run_app
from client.data.forms.site_config import load_site
from client.worker.audit.log import entries
from client.worker.privacy.keys import load_channel_key

SITES = ("site-01", "site-02", "site-03")


def run(program: str, *arguments: object) -> None:
    app = client.cli.main.app if program == "site" else server.cli.main.app
    assert run_app(app, list(map(str, arguments))) == 0, arguments


def own_key(folder: Path) -> str:
    return load_channel_key(load_site(folder).records).public.hex()


@pytest.fixture
def roster(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    co = tmp_path / "co"
    run("coordinator", "init", co)
    (co / "federation.yaml").write_text(FEDERATION.replace("[site-01, site-02]", f"[{', '.join(SITES)}]"))
    (co / "plan.yaml").write_text(PLAN)
    capfd.readouterr()
    run("coordinator", "init", co)
    identity = capfd.readouterr().out.partition("federation: ")[2].split()[0]
    for name in SITES:
        run("site", "init", tmp_path / name)
        run("site", "keys", tmp_path / name, "--federation", identity)
        assert own_key(tmp_path / name) in capfd.readouterr().out.replace("\n", "")
    run("coordinator", "enrol", co, *(tmp_path / name / "courier" / "request.json" for name in SITES), "--yes")
    run("coordinator", "roster", co)
    return co / "roster.json"


def test_the_roster_is_of_the_sites_own_keys(roster: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = parse_roster(roster.read_text())
    assert dict(found.sites) == {name: own_key(tmp_path / name) for name in SITES}
    assert found.digest() in capfd.readouterr().out
    run("site", "approve-roster", tmp_path / "site-01", roster, "--yes")
    assert f"roster: {found.digest()}" in capfd.readouterr().out
    last = list(entries(load_site(tmp_path / "site-01").records))[-1]
    assert (last["kind"], last["action"], last["roster"]) == ("approval", "roster", found.digest())


def test_a_roster_without_this_site_is_not_approved(
    roster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text(Roster("lab", 1, {f"site-{n:02d}": f"{n:064x}" for n in range(1, 5)}).to_text())
    folder = tmp_path / "site-01"
    for file, answer, why in ((other, "y\n", "own key is not in the roster"), (roster, "n\n", "was not approved")):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert run_app(client.cli.main.app, ["approve-roster", str(folder), str(file)]) == 1
        assert why in " ".join(capfd.readouterr().err.split())
    other.write_text("nothing")
    assert run_app(client.cli.main.app, ["approve-roster", str(folder), str(other)]) == 1
    assert not [entry for entry in entries(load_site(folder).records) if entry["kind"] == "approval"]
