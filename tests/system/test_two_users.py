"""Courier and worker as two users: a hostile bundle that runs in the courier gets not one byte of the data."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from made_bundles import with_files
from small_hospital import SmallHospital
from toy_lesions import task

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.courier.folder import courier_of, socket_of
from client.courier.ipc import WorkerUnreachableError, ask
from client.worker.audit.log import entries
from tests.support.open_policy import open_text

WORKER, COURIER, GROUP = 42_001, 42_002, 42_000
HERE = Path(__file__).parents[1] / "support"
SETPRIV = shutil.which("setpriv")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or SETPRIV is None, reason="needs root, to become two other users"),
]
PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"
POLICY = open_text(kinds=["hello", "train"], caps={"max_epochs": 2})


@dataclass(frozen=True)
class Hospital:
    """folder: set up as docs/site.md says for two users."""

    folder: Path
    scratch: Path
    worker: psutil.Process

    def asked(self, message: Task) -> Update | Refusal:
        answer = decode(ask(socket_of(self.folder), to_bytes(message), 30.0))
        assert isinstance(answer, Update | Refusal)
        return answer

    def hostile(self, user: int) -> dict[str, Any]:
        """What the bundle's code got as that user."""
        bundle, out = self.scratch / "bundle", self.scratch / f"got-{user}"
        bundle.write_bytes(with_files(client__courier__client_app=(HERE / "hostile_app.py").read_bytes()))
        own = courier_of(self.folder).folder
        data = [path for path in (self.folder, *self.folder.rglob("*")) if own not in (path, *path.parents)]
        target = self.scratch / "target.json"
        target.write_text(json.dumps({"paths": list(map(str, data)), "worker": self.worker.pid}))
        command = [sys.executable, HERE / "gullible_courier.py", courier_of(self.folder).folder, bundle, out]
        subprocess.run([*as_user(user), *command], check=True, env=environment({"HOSTILE_TARGET": str(target)}))
        found: dict[str, Any] = json.loads(out.read_bytes())
        return found


def as_user(user: int) -> list[str]:
    return [str(SETPRIV), f"--reuid={user}", f"--regid={GROUP}", "--clear-groups", "--no-new-privs"]


def environment(more: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "HOME": "/tmp", "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}", **more}


@pytest.fixture(scope="module")
def hospital() -> Iterator[Hospital]:
    scratch = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    scratch.chmod(0o1777)
    folder, plan = scratch / "site-01", scratch / "plan.yaml"
    folder.mkdir()
    SmallHospital(folder, 3).write()
    (folder / "policy.yaml").write_text(POLICY)
    plan.write_text(PLAN)
    assert run_app(app, ["index", str(folder), "--plan", str(plan), "--workers", "1"]) == 0
    courier_of(folder).state.mkdir(parents=True)
    set_up(folder)
    command = [sys.executable, "-m", "client.worker.process", "--folder", folder, "--socket", socket_of(folder)]
    with (scratch / "log").open("wb") as log:
        started = subprocess.Popen([*as_user(WORKER), *command], env=environment({}), stdout=log, stderr=log)
    made = Hospital(folder, scratch, psutil.Process(started.pid))
    try:
        end = time.monotonic() + 600  # it loads torch, on a machine that may be busy
        while not answers(made):
            assert started.poll() is None, (scratch / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        yield made
    finally:
        started.terminate()
        started.wait(20)
        shutil.rmtree(scratch)


def set_up(folder: Path) -> None:
    """The commands of docs/site.md, "Two users"."""
    (folder / "run").mkdir()
    subprocess.run(["chown", "-R", f"{WORKER}:{GROUP}", folder], check=True)
    subprocess.run(["chmod", "-R", "go-rwx", folder], check=True)
    subprocess.run(["chmod", "g+x", folder, folder / "run"], check=True)
    subprocess.run(["chown", "-R", f"{COURIER}:{GROUP}", folder / "courier"], check=True)


def answers(hospital: Hospital) -> bool:
    try:
        return isinstance(hospital.asked(task("hello", recipe=None, stage="hello")), Update)
    except WorkerUnreachableError:
        return False


def test_a_hostile_bundle_in_the_courier_reads_and_changes_nothing(hospital: Hospital) -> None:
    found = hospital.hostile(COURIER)
    assert found["uid"] == COURIER
    assert found["network"]
    assert found["read"] == []
    assert found["changed"] == []
    assert hospital.worker.is_running()
    assert answers(hospital)


def test_the_same_code_as_the_workers_user_would_have_read_it_all(hospital: Hospital) -> None:
    """Else the test above would prove nothing. Run on a copy, since it deletes what it can."""
    copy = Hospital(hospital.scratch / "copy", hospital.scratch, hospital.worker)
    shutil.copytree(hospital.folder, copy.folder, ignore=shutil.ignore_patterns("run", "courier"))
    subprocess.run(["chown", "-R", f"{COURIER}:{GROUP}", copy.folder], check=True)
    found = copy.hostile(COURIER)
    for name in ("lesions.csv", "clips/0.avi", "secret.key", "policy.yaml", "records/audit.jsonl"):
        assert any(line.startswith("read") and line.endswith(name) for line in found["read"]), name
    assert len([line for line in found["changed"] if line.startswith("unlink")]) > 10


def test_what_policy_forbids_is_refused_whoever_asks(hospital: Hospital) -> None:
    """The worker looks at the task, not at who carries it."""
    for forbidden, said in (
        (task("evaluate", ("disease/HCC",), replicates=10), "kinds are hello, train, not evaluate"),
        (task("tally", recipe=None), "kinds are hello, train, not tally"),
        (task("train", ("disease/HCC",), rule=LocalRule(epochs=3)), "caps.max_epochs is 2, the task's epochs is 3"),
    ):
        answer = hospital.asked(forbidden)
        assert isinstance(answer, Refusal)
        assert (answer.code, said in answer.reason) == ("policy", True), answer.reason
    assert isinstance(hospital.asked(task("hello", recipe=None, stage="hello")), Update)
    refused = [entry["reason"] for entry in entries(hospital.folder / "records") if entry["kind"] == "refusal"]
    assert len(refused) == 3


def test_a_command_of_root_locks_the_worker_out_of_nothing(hospital: Hospital) -> None:
    hello = task("hello", recipe=None, stage="hello", round=2)
    assert run_app(app, ["pause", str(hospital.folder)]) == 0
    paused = hospital.asked(hello)
    assert isinstance(paused, Refusal)
    assert "is paused since" in paused.reason
    assert run_app(app, ["resume", str(hospital.folder)]) == 0
    assert isinstance(hospital.asked(hello), Update)
    assert {path.stat().st_uid for path in (hospital.folder / "records").iterdir()} == {WORKER}


def test_the_socket_is_for_the_two_users_alone(hospital: Hospital) -> None:
    path = socket_of(hospital.folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert (path.stat().st_uid, path.stat().st_gid) == (WORKER, GROUP)
    ask_it = f"from pathlib import Path; from client.courier.ipc import ask; ask(Path({str(path)!r}), b'', 5.0)"
    command = [str(SETPRIV), "--reuid=42003", "--regid=42003", "--clear-groups", sys.executable, "-c", ask_it]
    stranger = subprocess.run(command, check=False, env=environment({}), capture_output=True, text=True)
    assert "WorkerUnreachableError" in stranger.stderr
