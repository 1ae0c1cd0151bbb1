"""From nothing to an enrolled site by the two commands alone, as the documentation says."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from made_federation import FEDERATION, PLAN

import client.cli.main
import server.cli.main
from ceus_models.runtime.exit_codes import run_app
from client.worker.audit.log import entries

Run = Callable[..., str]


@pytest.fixture
def coordinator(capfd: pytest.CaptureFixture[str]) -> Run:
    return lambda *arguments, code=0: told(server.cli.main.app, arguments, code, capfd)


@pytest.fixture
def site(capfd: pytest.CaptureFixture[str]) -> Run:
    return lambda *arguments, code=0: told(client.cli.main.app, arguments, code, capfd)


def told(app, arguments: tuple[object, ...], code: int, capfd: pytest.CaptureFixture[str]) -> str:  # type: ignore[no-untyped-def]
    found = run_app(app, list(map(str, arguments)))
    out, error = capfd.readouterr()
    assert found == code, out + error
    return " ".join((out + error).split())


def founded(coordinator: Run, folder: Path) -> str:
    assert "fill it, put plan.yaml beside it" in coordinator("init", folder)
    (folder / "federation.yaml").write_text(FEDERATION.replace("18443", "18443\nsuperlink_port: 9"))
    (folder / "plan.yaml").write_text(PLAN)
    return coordinator("init", folder).partition("federation: ")[2].split()[0]


def test_from_nothing_to_an_enrolled_site(coordinator: Run, site: Run, tmp_path: Path) -> None:
    co, hospital = tmp_path / "co", tmp_path / "site-01"
    identity = founded(coordinator, co)
    said = site("keys", hospital, "--federation", identity)
    request, key = hospital / "courier" / "request.json", said.partition("key ")[2].split(";")[0]
    assert "the private key stays" in said
    said = coordinator("enrol", co, request, "--yes")
    assert "enrolled site-01" in said
    assert "the SuperLink is not running" in said
    said = site("join", hospital, co / "kits" / "site-01.kit.json")
    assert "site-01 has joined" in said
    assert "No port of yours is opened" in said
    assert "site.yaml" in site("approve", hospital, co / "studies" / "tiny" / "bundle.fab", "--yes", code=1)
    assert not (hospital / "courier" / "approved.json").exists()  # nothing is approved that cannot be written down
    site("init", hospital)
    said = site("approve", hospital, co / "studies" / "tiny" / "bundle.fab", "--yes")
    assert "It carries no code" in said
    assert "first plan of this study" in said
    assert "a round counts with the sums of 1 site, 3 are usual" in said
    said = site("approve", hospital, co / "studies" / "tiny" / "bundle.fab", "--yes")
    assert "Nothing changed since the last approval" in said
    (bundle,) = {entry["bundle"] for entry in entries(hospital / "records")}
    site("disapprove", hospital, bundle[:8])
    written = [(entry["kind"], entry["action"]) for entry in entries(hospital / "records")]
    assert written == [("approval", "approve")] * 2 + [("approval", "disapprove")]
    status = json.loads(coordinator("status", co, "--json"))
    assert [(line["name"], line["standing"]) for line in status["sites"]] == [("site-01", "ok"), ("site-02", "absent")]
    assert status["sites"][0]["fingerprint"] == key
    assert status["warnings"] == []
    assert "site-01" in coordinator("status", co)


def test_join_with_the_bundle_goes_on_to_approve_it(coordinator: Run, site: Run, tmp_path: Path) -> None:
    co, hospital = tmp_path / "co", tmp_path / "site-01"
    site("init", hospital)
    site("keys", hospital, "--federation", founded(coordinator, co))
    coordinator("enrol", co, hospital / "courier" / "request.json", "--yes")
    sent = (co / "kits" / "site-01.kit.json", co / "studies" / "tiny" / "bundle.fab")
    said = site("join", hospital, *sent, "--yes")
    assert "site-01 has joined" in said
    assert "approved: study tiny" in said
    written = [(entry["action"], entry["bundle"]) for entry in entries(hospital / "records")]
    assert written == [("approve", hashlib.sha256(sent[1].read_bytes()).hexdigest())]


def test_two_people_approve_where_the_hospital_wants_two(
    coordinator: Run, site: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    co, hospital = tmp_path / "co", tmp_path / "site-01"
    site("keys", hospital, "--federation", founded(coordinator, co))
    coordinator("enrol", co, hospital / "courier" / "request.json", "--yes")
    site("join", hospital, co / "kits" / "site-01.kit.json")
    site("init", hospital)
    bundle = co / "studies" / "tiny" / "bundle.fab"
    accounts = iter(["root", "root", "root", "daemon"])
    monkeypatch.setattr("client.cli.approval.read_account", lambda: next(accounts))
    assert "2 must approve a bundle" in site("reviewers", hospital, 2)
    assert "1 more must approve it" in site("approve", hospital, bundle, "--yes")
    assert "root approved this bundle already" in site("approve", hospital, bundle, "--yes", code=1)
    said = site("approve", hospital, bundle, "--yes")
    assert "by root, daemon" in said
    assert "more must" not in said
    written = [(e["action"], e.get("wanted"), e["by"]) for e in entries(hospital / "records")]
    assert [action for action, _, _ in written] == ["reviewers", "approve", "approve"]
    assert written[0][1] == 2


@pytest.mark.parametrize(("typed", "code"), [("", 130), ("n\n", 1)])
def test_nobody_is_enrolled_and_nothing_approved_without_a_yes(
    coordinator: Run, site: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed * 2))
    co, hospital = tmp_path / "co", tmp_path / "site-01"
    site("keys", hospital, "--federation", founded(coordinator, co))
    coordinator("enrol", co, hospital / "courier" / "request.json", code=code)
    assert not (co / "sites.json").exists()
    coordinator("enrol", co, hospital / "courier" / "request.json", "--yes")
    site("join", hospital, co / "kits" / "site-01.kit.json")
    site("init", hospital)
    site("approve", hospital, co / "studies" / "tiny" / "bundle.fab", code=code)
    assert not (hospital / "courier" / "approved.json").exists()


def test_renewal_of_everything_and_of_a_key(coordinator: Run, site: Run, tmp_path: Path) -> None:
    co, hospital = tmp_path / "co", tmp_path / "site-01"
    site("keys", hospital, "--federation", founded(coordinator, co))
    coordinator("enrol", co, hospital / "courier" / "request.json", "--yes")
    site("join", hospital, co / "kits" / "site-01.kit.json")
    assert "-s reload" in coordinator("renew", co)
    assert "site-01: valid to" in coordinator("renew", co, "site-01")
    assert "kit 2" in site("join", hospital, co / "kits" / "site-01.kit.json")
    before = (hospital / "courier" / "node.key").read_bytes()
    site("keys", hospital, "--renew")
    coordinator("enrol", co, hospital / "courier" / "request.json", "--yes")
    assert "kit 3" in site("join", hospital, co / "kits" / "site-01.kit.json")
    assert (hospital / "courier" / "node.key").read_bytes() != before
    assert "revoked 2 keys" in coordinator("revoke", co, "site-01", "--reason", "left the study")
    assert "is not enrolled" in coordinator("renew", co, "site-01", code=1)


def test_a_passphrase_from_a_file_opens_the_ca(coordinator: Run, tmp_path: Path) -> None:
    co, file = tmp_path / "co", tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    co.mkdir()
    (co / "federation.yaml").write_text(FEDERATION)
    (co / "plan.yaml").write_text(PLAN)
    coordinator("init", co, "--passphrase-file", file)
    assert "give its passphrase with --passphrase-file" in coordinator("renew", co, code=1)
    assert "front door: valid to" in coordinator("renew", co, "--passphrase-file", file)
    assert "cannot be read" in coordinator("renew", co, "--passphrase-file", tmp_path / "none", code=1)


def test_what_is_missing_is_said_before_anything_is_made(coordinator: Run, site: Run, tmp_path: Path) -> None:
    assert "give the federation's id with --federation" in site("keys", tmp_path / "s", code=1)
    assert "has not joined a federation" in site("approve", tmp_path / "s", tmp_path / "b", code=1)
    assert "federation.yaml: the file exists and can be read" in coordinator("status", tmp_path, code=1)
    assert "site.yaml" in site("disapprove", tmp_path / "s", "abcd", code=1)
    assert not (tmp_path / "s").exists()
