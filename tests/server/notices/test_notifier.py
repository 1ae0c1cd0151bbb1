"""The notifier against servers on this machine: down, refusing, restarted; nothing twice, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_facts import START_S, World, at
from made_federation import FEDERATION, Lab, lab
from notice_servers import Hook, MailBox, mail_server, web_server

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.file_locks import is_held
from server.cli.main import app
from server.notices import changes
from server.notices import notifier as notifier_module
from server.notices.message import make_message
from server.notices.notices_file import load_notices
from server.notices.notifier import Notifier
from server.notices.outbox import GIVE_UP_S, MOST_WAITING, Outbox, Parcel, read_outbox
from server.notices.standing import check_notices, list_notice_faults
from tests.support.real_federation import ENVIRONMENT, ROOT, wait

FILE = """\
schema: 1
smtp: {{host: 127.0.0.1, port: {mail}, security: none, from: ceus@example.org}}
people:
  - {{name: Ada, role: coordinator, email: ada@example.org}}
  - {{name: Bo, role: researcher, email: bo@example.org, kinds: [trouble, end]}}
  - {{name: duty, role: monitor, webhook: {{url: "http://127.0.0.1:{hook}/"}}}}
"""


class Desk:
    """A coordinator's folder whose snapshots are made, and a clock that a test sets."""

    def __init__(self, made: Lab, box: MailBox, hook: Hook) -> None:
        self.home, self.box, self.hook = made.home, box, hook
        self.world, self.seconds = World(), 0.0
        self.told: list[dict[str, Any]] = []
        self.write(FILE.format(mail=box.port, hook=hook.port))
        self.restart()

    def write(self, text: str) -> None:
        self.home.notices.write_text(text, encoding="utf-8")
        self.home.notices.chmod(0o600)

    def restart(self) -> None:
        """As after a kill: only what is on the disk is known."""
        self.notifier = Notifier(
            self.home,
            load_notices(self.home),
            "fl.example.org:443",
            lambda event: self.told.append(dict(event)),
            self.world.snapshot,
            lambda: at(self.seconds),
        )

    def step(self, after_s: float = 0.0, times: int = 4) -> None:
        self.seconds += after_s
        for _ in range(times):
            self.notifier.step()

    def subjects(self) -> list[tuple[str, str]]:
        return [(str(mail["To"]).partition("@")[0], str(mail["Subject"])) for mail in self.box.mails]

    def posts(self) -> list[str]:
        return [json.loads(body)["title"] for _, body in self.hook.posts]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(notifier_module, "_LOOK_S", 0.0)
    monkeypatch.setattr(notifier_module, "_REST", 0.0)
    monkeypatch.setattr(changes, "STAYS_S", 0.0)
    with mail_server(MailBox()) as box, web_server(Hook()) as hook:
        yield Desk(lab(tmp_path / "study"), box, hook)


TROUBLE = "lab: study liver: it does not get on: the disk is full"


def test_everybody_is_told_what_they_want_and_once(made: Desk) -> None:
    made.step()
    made.world.trouble = "the disk is full"
    made.step(10)
    made.world.add_round(lost={"site-01": "no answer"})
    made.step(10)
    made.step(10)
    lost = "lab: study liver: site-01 lost in submodels, train 0: no answer"
    assert sorted(made.subjects()) == sorted([("ada", TROUBLE), ("bo", TROUBLE), ("ada", lost)])
    assert made.posts() == [TROUBLE, lost]
    assert list_notice_faults(made.home, up=False) == []


def test_a_restart_repeats_nothing_and_loses_nothing(made: Desk) -> None:
    made.step()
    made.world.trouble = "the disk is full"
    made.step(10, times=2)  # two of three are told, then it is killed
    made.restart()
    made.step(10)
    made.world.trouble = ""
    made.restart()  # what changed meanwhile is told by the next one
    made.step(10)
    over = "lab: study liver: the trouble is over: the disk is full"
    assert sorted(made.subjects()) == sorted((who, text) for who in ("ada", "bo") for text in (TROUBLE, over))
    assert made.posts() == [TROUBLE, over]


def test_one_of_two_is_refused_and_the_other_is_told(made: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    made.box.refused = ("ada@example.org",)
    made.world.trouble = "the disk is full"
    made.step()
    made.step(3600)
    assert made.subjects() == [("bo", TROUBLE)]
    (line,) = list_notice_faults(made.home, up=False)
    assert line.startswith("a notice (trouble) for Ada by email: the mail server refused the address: 550")
    assert line.endswith("it was given up")
    assert sum(event["event"] == "undelivered" for event in made.told) == 1
    assert run_app(app, ["status", str(made.home.folder)]) == 0
    assert "for Ada by email" in capfd.readouterr().out
    assert run_app(app, ["status", str(made.home.folder), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["notices"] == [line]
    assert run_app(app, ["notices", str(made.home.folder), "check"]) == 1
    assert "it was given up" in capfd.readouterr().out
    made.step(8 * 24 * 3600)
    assert list_notice_faults(made.home, up=False) == []


def test_a_server_that_fails_is_tried_again_later_each_time(made: Desk) -> None:
    made.hook.codes = [500, 503, 429]
    made.world.trouble = "the disk is full"
    waited = []
    for _ in range(40):
        before = len(made.hook.codes)
        made.step(10)
        if len(made.hook.codes) < before or made.hook.posts:
            waited.append(made.seconds)
        if made.hook.posts:
            break
    assert waited == [10, 40, 100, 220]
    assert made.posts() == [TROUBLE]
    assert len(made.subjects()) == 2  # nobody waited for it
    assert list_notice_faults(made.home, up=False) == []


def test_what_cannot_be_delivered_for_a_day_is_given_up(made: Desk) -> None:
    made.hook.codes = [500] * 1000
    made.world.trouble = "the disk is full"
    made.step()
    assert "it is tried again" in list_notice_faults(made.home, up=False)[0]
    for _ in range(60):
        made.step(1800)
    assert list_notice_faults(made.home, up=False) == [
        "a notice (trouble) for duty by webhook: the web server answered 500; it was given up"
    ]
    assert 24 < 1000 - len(made.hook.codes) < 40
    assert read_outbox(made.home).waiting == ()


def test_the_queue_is_bounded() -> None:
    message = make_message("lab:abc", START_S, "a", ("end",), ["a"])
    parcels = tuple(Parcel(message=message, person=f"p{number}", way="email") for number in range(MOST_WAITING + 30))
    box = Outbox().put(parcels)
    assert [one.person for one in box.waiting] == [f"p{number}" for number in range(30, MOST_WAITING + 30)]
    assert {one.error for one in box.failed} == {"too many were waiting"}


def test_a_clock_that_was_ahead_delays_nothing() -> None:
    message = make_message("lab:abc", START_S, "a", ("end",), ["a"])
    ahead = Outbox().put((Parcel(message=message, person="a", way="email", due=START_S + 10 * GIVE_UP_S),))
    assert ahead.find_due(START_S) is not None


def test_a_disk_that_is_full_stops_no_notice_and_repeats_none(made: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made.step()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notifier_module, "write_outbox", fail)
    made.world.trouble = "the disk is full"
    made.step(10)
    made.step(10)
    assert sorted(made.subjects()) == [("ada", TROUBLE), ("bo", TROUBLE)]
    assert any("cannot be written" in str(event.get("said")) for event in made.told)


def test_a_snapshot_that_cannot_be_taken_is_told_in_the_log(made: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise ExpectedError("state.json is damaged; delete it")

    monkeypatch.setattr(made.notifier, "look", fail)
    made.step()
    assert made.told[0] == {"event": "trouble", "said": "state.json is damaged; delete it"}


def test_a_damaged_outbox_is_said(made: Desk) -> None:
    made.step()
    made.home.outbox.write_text("{", encoding="utf-8")
    with pytest.raises(ExpectedError, match=r"found that it is damaged; delete it"):
        made.restart()
    assert "check` says why" in list_notice_faults(made.home, up=False)[0]


def test_a_daemon_without_the_process_is_said(made: Desk) -> None:
    assert "start `ceus-coordinator up` again" in list_notice_faults(made.home, up=True)[0]


def test_preflight_says_who_is_told_or_why_nobody_is(made: Desk) -> None:
    assert [(one.state, one.found) for one in check_notices(made.home, up=False)] == [("ok", "3 people are told")]
    made.box.refused = ("ada@example.org",)
    made.world.trouble = "the disk is full"
    made.step()
    (late,) = check_notices(made.home, up=False)
    assert (late.state, "for Ada by email" in late.found) == ("fault", True)
    made.write("schema: 1\npeople: [{name: A, role: boss}]\n")
    faults = check_notices(made.home, up=False)
    assert {one.state for one in faults} == {"fault"}
    assert any("notices.yaml line 2" in one.found for one in faults), faults
    made.home.notices.unlink()
    assert check_notices(made.home, up=True) == []


def test_the_command_sends_a_test_to_everybody(made: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    made.box.refused = ("bo@example.org",)
    assert run_app(app, ["notices", str(made.home.folder), "test"]) == 1
    said = capfd.readouterr().out
    assert "ok    Ada, email: the server took the message" in said
    assert "FAULT Bo, email: the mail server refused the address: 550" in said
    assert "ok    duty, webhook" in said
    assert made.subjects() == [("ada", "lab: test of the notices")]
    assert made.posts() == ["lab: test of the notices"]


def test_the_process_tells_once_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    with mail_server(MailBox()) as box, web_server(Hook()) as hook:
        made = lab(tmp_path / "study", FEDERATION + "server_days: 5\n")
        made.home.notices.write_text(FILE.format(mail=box.port, hook=hook.port), encoding="utf-8")
        made.home.notices.chmod(0o600)
        command = [sys.executable, "-m", "server.notices.process", str(made.home.folder)]
        for stop in (signal.SIGKILL, signal.SIGTERM):
            with subprocess.Popen(command, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
                wait(lambda: is_held(made.home.notices_lock), 60, "the process")
                wait(lambda: hook.posts and box.mails, 60, "the notice of the certificates")
                time.sleep(3)  # a look, and every delivery that it would bring
                os.kill(process.pid, stop)
                said = process.communicate(timeout=30)[0]
        assert process.returncode == 0
        assert "127.0.0.1" not in said
    (mail,) = box.mails
    assert mail["To"] == "ada@example.org"
    assert "the certificate of front door expires in 4 days" in mail.get_content()
    assert len(hook.posts) == 1
