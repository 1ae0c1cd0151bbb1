"""A coordinator at work tells by itself: the end of a study, a site that is gone and back, also after a kill."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from notice_servers import Hook, MailBox, mail_server, web_server

from benchmarks.faults import tiny_federation, tiny_plan
from ceus_models.runtime.file_locks import is_held
from server.run_folder.paths import Home
from tests.support.real_federation import NGINX, Federation, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
PATIENCE_S = 300.0
FILE = """\
schema: 1
gone_after_minutes: 1
smtp: {{host: 127.0.0.1, port: {mail}, security: none, from: ceus@example.org}}
people:
  - {{name: Ada, role: coordinator, email: ada@example.org}}
  - {{name: duty, role: monitor, webhook: {{url: "http://127.0.0.1:{hook}/"}}}}
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[MailBox, Hook]]:
    with mail_server(MailBox()) as box, web_server(Hook()) as hook:
        yield box, hook


@pytest.fixture(scope="module")
def federation(servers: tuple[MailBox, Hook], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Everything runs, and two people are told."""
    scratch = tmp_path_factory.mktemp("told")
    with tiny_federation(scratch, tiny_plan(scratch / "plan.yaml", 2), (1, 2, 3)) as made:
        home = Home(made.study)
        home.notices.write_text(FILE.format(mail=servers[0].port, hook=servers[1].port), encoding="utf-8")
        home.notices.chmod(0o600)
        made.fleet.stop("up")
        made.up()
        wait(lambda: is_held(home.notices_lock), PATIENCE_S, "the process that tells")
        yield made


def titles(hook: Hook) -> list[str]:
    return [json.loads(body)["title"] for _, body in hook.posts]


def test_the_end_of_a_study_is_told_to_who_wants_it(federation: Federation, servers: tuple[MailBox, Hook]) -> None:
    box, hook = servers
    federation.order()
    assert federation.wait_over(PATIENCE_S) == "done"
    wait(lambda: any("the run is done" in str(mail["Subject"]) for mail in box.mails), 60, "the mail of the end")
    assert not any("is done" in title for title in titles(hook))


def test_a_site_that_is_gone_and_back_is_told_even_after_a_kill(
    federation: Federation, servers: tuple[MailBox, Hook]
) -> None:
    name, hook = next(iter(federation.sites)), servers[1]
    federation.fleet.stop(name)
    told = [one for one in psutil.process_iter(["cmdline"]) if "server.notices.process" in (one.info["cmdline"] or [])]
    (mine,) = [one for one in told if one.info["cmdline"][-1] == str(federation.study)]
    os.kill(mine.pid, signal.SIGKILL)
    gone = f"lab: {name} is gone: not connected for more than 1 minutes"
    wait(lambda: gone in titles(hook), PATIENCE_S, "the post of the site that is gone")
    federation.serve(name)
    wait(lambda: f"lab: {name} is back" in titles(hook), PATIENCE_S, "the post of the site that is back")
    assert titles(hook).count(gone) == 1


def test_up_ends_with_all_that_it_started(federation: Federation) -> None:
    federation.fleet.stop("up")
    assert not is_held(Home(federation.study).notices_lock)
    assert Path(federation.study / "notices" / "outbox.json").stat().st_mode & 0o077 == 0
