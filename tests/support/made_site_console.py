"""A hospital that was indexed, joined, approved a bundle and answered, and the console of its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import torch
from asked_app import Answer, asked
from made_federation import DAY, lab
from small_hospital import SmallHospital
from toy_lesions import task

from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Refusal, Update
from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.console.app import console
from client.console.session import Session
from client.courier.folder import socket_of
from client.data.forms.site_config import load_site
from client.policy.policy_file import PolicyFile
from client.worker.audit.log import Audit
from client.worker.audit.recorder import open_recorder

PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"
STUDY = f"""name: liver
{PLAN}stages:
  - {{stage: hello}}
  - {{stage: statistics}}
  - {{stage: train, name: submodels, nets: [submodels], cohorts: [training_a], rounds: 2, validate: {{every: 1}}}}
"""
PAGES = ("/", "/approval", "/audit", "/audit/7", "/left", "/index", "/patient")
LESIONS = [f"LESION-77{number}" for number in range(3)]


@dataclass
class SiteDesk:
    """The console of a folder. cookie: of the browser that signed in · waits: seconds a wrong token had to wait."""

    folder: Path
    said: list[dict[str, Any]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    cookie: str = ""

    def __post_init__(self) -> None:
        self.session = Session("ada", 8091, lambda event: self.said.append(dict(event)), self._wait)
        self.token = self.session.token
        self.app = console(load_site(self.folder), socket_of(self.folder), self.session, self.session.told)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def sign_in(self) -> Answer:
        answer = self.bare(f"/?token={self.token}")
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return self.bare(path, method, cookie=self.cookie, **headers)

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        """As the button does it, unless another form is given."""
        body = urlencode({"form": self.session.form} if form is None else form).encode()
        named = {"host": "127.0.0.1:8091", "cookie": self.cookie, **headers}
        return asked(self.app, path, "POST", named, body)

    def send(self, path: str, body: bytes, **headers: str) -> Answer:
        """As a script of a page does it."""
        return asked(self.app, path, "POST", {"host": "127.0.0.1:8091", "cookie": self.cookie, **headers}, body)

    def bare(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """As a browser, or another account, that never signed in."""
        return asked(self.app, path, method, {"host": "127.0.0.1:8091", **headers})


def hospital(scratch: Path) -> Path:
    """Its folder: three lesions, one without its clip; a study is approved, its next version waits."""
    folder, plan = scratch / "hospital-in-a-folder", scratch / "plan.yaml"
    folder.mkdir()
    made = SmallHospital(folder, 3)
    for row, lesion in zip(made.rows, LESIONS, strict=True):
        row["lesion_id"] = lesion
    made.rows[2]["clips"] = "clips/gone.avi"
    made.write()
    (folder / "site.yaml").write_text((folder / "site.yaml").read_text() + "max_skipped: 0.5\n")
    plan.write_text(PLAN)
    assert run_app(app, ["index", str(folder), "--plan", str(plan), "--workers", "1"]) == 0
    co = lab(scratch / "co")
    co.joined(folder)
    old = scratch / "old.fab"
    old.write_bytes(co.bundle(STUDY))
    assert run_app(app, ["approve", str(folder), str(old), "--yes"]) == 0
    (folder / "bundle.fab").write_bytes(co.bundle(STUDY.replace("rounds: 2", "rounds: 30"), made=co.now + DAY))
    _answered(folder)
    return folder


def _answered(folder: Path) -> None:
    trail = open_recorder(Audit(folder / "records"))
    trail.record_start(fedceus="0.1.0")
    trail.policy(PolicyFile(folder).load_current())
    sums = {"disease/HCC|w": torch.ones(2, 3), "disease/HCC|#weight": torch.tensor(9.0, dtype=torch.float64)}
    for number in (1, 2):
        one = ReceivedTask(task("train", ("disease/HCC",), study="ab" * 32, round=number))
        trail.record_task(one)
        trail.record_answer(one, Update("site-01", sums, 9.0, task=one.id))
    trail.record_answer(None, Refusal("site-01", "<b>not</b> approved here", "policy"))
    trail.record_task(ReceivedTask(task("train", ("disease/HM",), study="ab" * 32, round=3)))
