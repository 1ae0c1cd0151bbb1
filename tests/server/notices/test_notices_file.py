"""`notices.yaml` is read into frozen types, and all its faults are told at once with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_federation import lab

from ceus_models.runtime.errors import ExpectedError, FaultList
from ceus_models.runtime.exit_codes import run_app
from server.cli.main import app
from server.notices.kinds import KINDS
from server.notices.notices_file import load_notices
from server.run_folder.paths import Home

WRONG = """\
schema: 1
gone_after_minutes: 0
smtp:
  host: smtp.example.org
  port: 25
  security: none
  from: "ceus@example.org\\r\\nBcc: eve"
people:
  - {name: Ada, role: boss, email: ada at home}
  - {name: Bo, role: monitor}
  - {name: Cy, role: monitor, webhook: {url: "http://hooks.example.org/x"}}
  - {name: Di, role: monitor, webhook: {url: "ftp://hooks.example.org/x"}, kinds: [troubles]}
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Home:
    home = Home(folder)
    home.notices.write_text(text, encoding="utf-8")
    home.notices.chmod(mode)
    return home


def test_the_example_is_written_once_privately_and_is_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = lab(tmp_path / "study").home
    assert run_app(app, ["notices", str(home.folder), "example"]) == 0
    assert home.notices.stat().st_mode & 0o777 == 0o600
    found = load_notices(home)
    assert [person.name for person in found.people] == ["Ada Example", "on duty"]
    assert [kind for kind in KINDS if found.people[1].wants(kind)] == ["trouble", "gone"]
    assert all(found.people[0].wants(kind) for kind in KINDS)
    assert run_app(app, ["notices", str(home.folder), "example"]) == 1
    assert "nothing is overwritten" in capfd.readouterr().err
    assert run_app(app, ["notices", str(home.folder), "check"]) == 0
    assert "on duty" in capfd.readouterr().out


def test_every_fault_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(FaultList) as wrong:
        load_notices(written(tmp_path, WRONG))
    told = {(fault.row, fault.column) for fault in wrong.value.faults}
    assert {(2, "gone_after_minutes"), (7, "smtp.from"), (9, "people[0].role"), (9, "people[0].email")} <= told
    assert {(11, "people[2].webhook.url"), (12, "people[3].webhook.url"), (12, "people[3].kinds[0]")} <= told
    assert (10, "people[1]") in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smtp: {host: a, port: 25, security: none, from: a@b}", "none on loopback alone"),
        ("smtp: {host: a, port: 25, user: x, from: a@b}", "user and password_file go together"),
        ("people: [{name: A, role: monitor, email: a@b}]", "e-mail needs a mail server; add smtp|e-mail needs"),
        ("people: [{name: A, role: monitor}]", "a person has an email or a webhook"),
        (
            "people: [{name: A, role: monitor, webhook: {url: 'https://u:p@h/'}}]",
            "without user or password",
        ),
    ],
)
def test_what_does_not_fit_together(tmp_path: Path, text: str, said: str) -> None:
    more = "" if text.startswith("people") else "\npeople: [{name: A, role: monitor, webhook: {url: 'https://h/'}}]"
    with pytest.raises(FaultList, match=said):
        load_notices(written(tmp_path, f"schema: 1\n{text}{more}\n"))


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match=r"only its owner may read .*notices.yaml, found that others may"):
        load_notices(written(tmp_path, "schema: 1\n", 0o640))
