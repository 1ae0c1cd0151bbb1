"""A coordinator's folder with a run that was walked by real links, people who may sign in, and its console's client."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from asked_app import Answer, asked
from faulty_sites import PLAN, Post, link_of, silent
from killed_coordinator import tiny
from made_federation import NOW, Lab, lab

from server.console.app import build_console
from server.console.sign_in.gate import ConsoleGate, make_gate
from server.console.sign_in.sessions import Sessions
from server.console.sign_in.tokens import TokenCheck
from server.console.sign_in.users import Role, add_person
from server.federation.federation_file import load_federation
from server.notices.standing import list_notice_faults
from server.rounds.coordinator import run
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.transport.message_log import MessageLog

FORM = "application/x-www-form-urlencoded"
ROLES: tuple[Role, ...] = ("researcher", "coordinator", "monitor")
PAGES = ("/", "/rounds", "/sites", "/record", "/record/1", "/report")
PATHS = (*PAGES, "/status.json", "/metrics", "/healthz", "/style.css")


@dataclass
class Desk:
    """The console of a folder, and what it said. waits: seconds that a wrong token was made to wait · cookies: of the
    browsers of those who signed in · now: seconds of its sessions' clock.
    """

    made: Lab
    tokens: dict[str, str]
    said: list[dict[str, Any]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    now: float = 0.0
    gate: ConsoleGate = field(init=False)

    def __post_init__(self) -> None:
        gate = self.gate = make_gate(self.made.home, lambda event: self.said.append(dict(event)))
        gate.tokens = TokenCheck(self.made.home, gate.told, self._wait)
        gate.sessions = Sessions(lambda: self.now)
        federation = load_federation(self.made.home.federation)
        self.app = build_console(self.made.home, federation, gate.told, gate, list_notice_faults)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def get(self, path: str, who: str = "coordinator", method: str = "GET", **headers: str) -> Answer:
        """As the person who has that role, who signs in first; the monitor sends its token."""
        if who == "monitor":
            return self.ask(path, f"{who}:{self.tokens[who]}", method, **headers)
        if who not in self.cookies:
            self.sign_in(who, self.tokens[who])
            self.said.clear()
        return self.bare(path, method, cookie=self.cookies[who], **headers)

    def sign_in(self, name: str, token: str, code: str = "", to: str = "/", **headers: str) -> Answer:
        """By the form; the cookie is kept."""
        fields = {"name": name, "token": token, "code": code, "to": to}
        answer = self.send("/sign-in", fields, **headers)
        if answer.status == 303:
            self.cookies[name] = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def send(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """A form with these fields."""
        return self.send_bytes(path, urlencode(fields).encode(), **headers)

    def send_bytes(self, path: str, body: bytes, **headers: str) -> Answer:
        return asked(self.app, path, "POST", {"content-type": FORM, **headers}, body)

    def press(self, path: str, who: str = "coordinator", **fields: str) -> Answer:
        """A button on a page of the one who has that role."""
        found = re.search(r'name="form" value="([^"]+)"', self.get("/", who).text)
        assert found is not None
        return self.send(path, {"form": found[1], **fields}, cookie=self.cookies[who])

    def ask(self, path: str, pair: str, method: str = "GET", **headers: str) -> Answer:
        code = base64.b64encode(pair.encode()).decode()
        return self.bare(path, method, authorization=f"Basic {code}", **headers)

    def bare(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """With no name and no token."""
        return asked(self.app, path, method, headers)


def empty_desk(folder: Path) -> Desk:
    """A federation without a run."""
    made = lab(folder / "co")
    return Desk(made, {role: add_person(made.home, role, role, NOW) for role in ROLES})


def desk(folder: Path) -> Desk:
    """A run whose site 4 gave nothing in the second round of training; site-01 is enrolled."""
    made = lab(folder / "co")
    made.joined(folder / "site")
    Journal(made.study.run).begin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
        link = link_of(Post(silent), MessageLog(made.study.run))
        run(PLAN, link, Store(made.study.run), 1, Journal(made.study.run).append)
    return Desk(made, {role: add_person(made.home, role, role, NOW) for role in ROLES})
