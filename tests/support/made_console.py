"""A coordinator's folder with a run that was walked by real links, people who may sign in, and its console's client."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from asked_app import Answer, asked
from faulty_sites import PLAN, Post, link_of, silent
from killed_coordinator import tiny
from made_federation import NOW, Lab, lab

from server.console.app import build_console
from server.console.basic_auth import BasicAuth
from server.console.users import Role, add_person
from server.federation.federation_file import load_federation
from server.rounds.coordinator import run
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.transport.message_log import MessageLog

ROLES: tuple[Role, ...] = ("researcher", "coordinator", "monitor")
PAGES = ("/", "/rounds", "/sites", "/record", "/record/1", "/report")
PATHS = (*PAGES, "/status.json", "/metrics", "/healthz", "/style.css")


@dataclass
class Desk:
    """The console of a folder, and what it said. waits: seconds that a wrong token was made to wait."""

    made: Lab
    tokens: dict[str, str]
    said: list[dict[str, Any]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        gate = BasicAuth(self.made.home, lambda event: self.said.append(dict(event)), self._wait)
        self.app = build_console(self.made.home, load_federation(self.made.home.federation), gate.told, gate)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def get(self, path: str, who: str = "coordinator", method: str = "GET", **headers: str) -> Answer:
        """As the person who has that role."""
        return self.ask(path, f"{who}:{self.tokens[who]}", method, **headers)

    def ask(self, path: str, pair: str, method: str = "GET", **headers: str) -> Answer:
        code = base64.b64encode(pair.encode()).decode()
        return self.bare(path, method, authorization=f"Basic {code}", **headers)

    def bare(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """With no name and no token."""
        return asked(self.app, path, method, headers)


def desk(folder: Path) -> Desk:
    """A run whose site 4 gave nothing in the second round of training; site-01 is enrolled."""
    made = lab(folder / "co")
    made.joined(folder / "site")
    Journal(made.study.run).begin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.train_stage.build_initial_state", tiny)
        link = link_of(Post(silent), MessageLog(made.study.run))
        run(PLAN, link, Store(made.study.run), 1, Journal(made.study.run).append)
    return Desk(made, {role: add_person(made.home, role, role, NOW) for role in ROLES})
