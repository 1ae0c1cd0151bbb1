"""Every command of a site ends with the next one, by what lies in the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_federation import lab
from small_hospital import SmallHospital

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.file_locks import hold_lock
from client.cli.main import app
from client.cli.next_step import describe_next
from client.courier.folder import courier_of
from client.data.dataset.index_file import INDEX_FILE
from client.data.forms.site_config import load_site
from server.cli.main import app as coordinator


def test_from_nothing_to_a_site_that_serves(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, co = tmp_path / "hospital", lab(tmp_path / "co")
    folder.mkdir()
    assert describe_next("check", folder) == f"ceus-site init {folder}"
    SmallHospital(folder, 1).write()
    assert f"ceus-site index {folder}" in describe_next("check", folder)
    site, courier = load_site(folder), courier_of(folder)
    site.work.mkdir(parents=True, exist_ok=True)
    (site.work / INDEX_FILE).write_text("{}")
    assert f"ceus-site show {folder}" in describe_next("index", folder)
    assert f"ceus-site keys {folder}" in describe_next("show", folder)
    assert run_app(app, ["keys", str(folder), "--federation", co.identity, "--site", "site-01"]) == 0
    assert capfd.readouterr().err.splitlines()[-1].endswith(f"ceus-site join {folder} KIT with the answer")
    assert run_app(coordinator, ["enrol", str(co.home.folder), str(courier.request), "--yes"]) == 0
    assert run_app(app, ["join", str(folder), str(co.home.kit("site-01"))]) == 0
    assert f"ceus-site approve {folder}" in describe_next("join", folder)
    assert run_app(app, ["approve", str(folder), str(co.study.bundle), "--yes"]) == 0
    assert f"next: ceus-site preflight {folder}" in capfd.readouterr().err
    assert describe_next("preflight", folder) == f"ceus-site serve {folder}"
    courier.logs.mkdir(parents=True, exist_ok=True)
    with hold_lock(courier.logs / "service.lock", ExpectedError("taken")):
        assert describe_next("approve", folder) == f"ceus-site health {folder}"
        assert f"ceus-site audit show {folder}" in describe_next("health", folder)
    assert run_app(app, ["pause", str(folder)]) == 0
    assert f"next: ceus-site resume {folder}" in capfd.readouterr().err


def test_a_folder_with_faults_leads_to_check(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("nonsense: [")
    assert describe_next("index", tmp_path) == f"ceus-site check {tmp_path} tells what is wrong"


def test_commands_beside_the_way_have_none(tmp_path: Path) -> None:
    assert describe_next("predict", tmp_path) == describe_next("serve", tmp_path) == describe_next("bundle", None) == ""
