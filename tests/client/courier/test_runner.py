"""The runner's decisions, with Flower's runtime played here; tests/system/test_approved_code.py has the real one."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import Context, Error, Message, RecordDict
from flwr.supercore.fab import Fab
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from made_bundles import FEDERATION, OTHER_FEDERATION, OURS, TRUST, signed_bundle, with_files, with_settings
from made_federation import DAY, NOW

import client.courier.runner
from ceus_models.pki.keys import generate_key
from ceus_models.protocol.flower_records import NAME_QUERY, from_record, to_record
from ceus_models.runtime.errors import ExpectedError
from client.courier.approval import approve
from client.courier.fab import contents_of
from client.courier.folder import CourierFolder
from client.courier.runner import App, Settings
from client.courier.waiting import read_alarm

CLIENT_APP = "flwr-clientapp"
DIGEST = contents_of(OURS, TRUST).study.plan_digest


@dataclass
class Runtime:
    """What a SuperNode's Runtime does: hands out one task, and takes its outputs."""

    bundle: bytes
    overrides: dict[str, Any] = field(default_factory=dict)
    kind: str = CLIENT_APP
    ttl: float = 30.0
    alive: bool = True
    reply: Message | None = None
    outcome: tuple[str, str] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def pull(self, _: object) -> tuple[Message, Context, Run, Fab]:
        message = Message(RecordDict(), 5, NAME_QUERY, ttl=self.ttl)
        message.metadata.__dict__["_message_id"] = "m"
        config = {"plan": "", "out": "", "seed": 0, "sites": 0, "federation": FEDERATION, "plan-digest": DIGEST}
        run = Run.create_empty(1)
        run.override_config = self.overrides
        fab = Fab("of-the-supernode", self.bundle, {})
        return (
            message,
            Context(1, 5, {"site": "site-01", "socket": "/none"}, RecordDict(), {**config, **self.overrides}),
            run,
            fab,
        )

    def push(self, _: object, reply: Message, __: object) -> None:
        self.reply = reply

    def finish(self, _: object, context: object, status: str, details: str) -> None:
        self.outcome = (status, details)

    def SendTaskHeartbeat(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(success=self.alive)


@pytest.fixture
def courier(tmp_path: Path) -> CourierFolder:
    folder = CourierFolder(tmp_path / "courier")
    approve(folder, contents_of(OURS, TRUST), "it", NOW)
    return folder


def run(runtime: Runtime, courier: CourierFolder, monkeypatch: pytest.MonkeyPatch, app: App | None = None) -> Runtime:
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)
    monkeypatch.setattr(client.courier.runner, "pull_task_input", runtime.pull)
    monkeypatch.setattr(client.courier.runner, "push_message", runtime.push)
    monkeypatch.setattr(client.courier.runner, "notify", lambda _, reason, __: runtime.notices.append(reason))
    monkeypatch.setattr(client.courier.runner, "push_task_output", runtime.finish)
    monkeypatch.setattr(
        client.courier.runner,
        "_client",
        lambda *_: SimpleNamespace(close=list, SendTaskHeartbeat=runtime.SendTaskHeartbeat),
    )
    told = lambda event: runtime.events.append(dict(event))  # noqa: E731
    settings = Settings("none", courier, TRUST, told=told)
    if app:
        settings = Settings("none", courier, TRUST, told=told, app=app)
    client.courier.runner._serve_task("token", runtime.kind, settings)
    return runtime


def test_an_approved_bundle_runs_the_installed_app(courier: CourierFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = run(Runtime(OURS, {"seed": 3}), courier, monkeypatch)
    assert runtime.reply
    assert from_record(runtime.reply.content) == b"site-01"
    assert runtime.outcome == ("completed", "")
    assert [event["event"] for event in runtime.events] == ["ran"]


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        (Runtime(OURS[:100] + bytes([OURS[100] ^ 1]) + OURS[101:]), "is not approved at this site"),
        (Runtime(with_files(client__courier__client_app=b"raise SystemExit")), "is not approved at this site"),
        (Runtime(with_settings("seed = 0", "seed = 1")), "is not approved at this site"),
        (Runtime(OURS, {"federation": "other"}), "'federation' differs from the approved one"),
        (Runtime(OURS, {"epochs": 3}), "'epochs' is none of the approved bundle"),
        (Runtime(OURS, kind="flwr-agentapp"), "runs no task of the kind flwr-agentapp"),
        (Runtime(OURS, kind="flwr-connector"), "runs no task of the kind"),
    ],
)
def test_all_else_is_refused_with_code_7_and_nothing_is_started(
    runtime: Runtime, said: str, courier: CourierFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(client.courier.runner, "run_in_child", never)
    before, paths = set(sys.modules), list(sys.path)
    run(runtime, courier, monkeypatch)
    assert runtime.reply
    assert runtime.reply.error.code == 7
    assert said in str(runtime.reply.error.reason)
    assert runtime.outcome
    assert runtime.outcome[0] == "failed"
    assert runtime.events[-1]["event"] == "refused"
    assert said in runtime.events[-1]["reason"]
    assert runtime.notices == [runtime.reply.error.reason]  # for the site's audit
    assert sys.path == paths
    assert not {name for name in set(sys.modules) - before if name.startswith(("client", "server"))}


def test_what_the_coordinator_signed_waits_and_runs_no_sooner(
    courier: CourierFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = signed_bundle("{name: tiny, quorum: {share: 0.5}, stages: [{stage: hello}]}", made=NOW + DAY)
    for _ in range(2):
        runtime = run(Runtime(new), courier, monkeypatch)
        assert [event["event"] for event in runtime.events] == ["refused"]
    assert [path.read_bytes() for path in courier.waiting.iterdir()] == [new]
    assert not courier.alarm.exists()
    approve(courier, contents_of(new, TRUST), "it", NOW)
    settings = {"plan-digest": contents_of(new, TRUST).study.plan_digest}
    runtime = run(Runtime(new, settings), courier, monkeypatch)
    assert [event["event"] for event in runtime.events] == ["ran"]


@pytest.mark.parametrize(
    "bundle", [signed_bundle(key=generate_key()), signed_bundle(federation=OTHER_FEDERATION), with_files(client=b"")]
)
def test_what_came_from_elsewhere_is_an_alarm_and_is_not_kept(
    bundle: bytes, courier: CourierFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (1, 2):
        runtime = run(Runtime(bundle), courier, monkeypatch)
        assert runtime.reply
        assert runtime.reply.error.code == 7
        assert [event["event"] for event in runtime.events] == ["alarm", "refused"]
        assert "alarm" not in str(runtime.reply.error.reason), "the coordinator is told as always"
        alarm = read_alarm(courier)
        assert alarm
        assert (alarm.count, alarm.sha256) == (count, hashlib.sha256(bundle).hexdigest())
    assert not courier.waiting.exists()


def test_a_damaged_bundle_is_neither(courier: CourierFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = run(Runtime(OURS[:-40]), courier, monkeypatch)
    assert [event["event"] for event in runtime.events] == ["waiting", "refused"]
    assert not courier.waiting.exists()
    assert not courier.alarm.exists()


def test_approvals_that_cannot_be_trusted_refuse_everything(
    courier: CourierFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier.approvals.chmod(0o666)
    runtime = run(Runtime(OURS), courier, monkeypatch)
    assert runtime.reply
    assert runtime.reply.error.code == 7
    assert [event["event"] for event in runtime.events] == ["approvals", "refused"]
    assert str(courier.folder) not in str(runtime.reply.error.reason)


def test_a_notice_that_cannot_be_delivered_is_in_the_log(courier: CourierFolder) -> None:
    told: list[Any] = []
    context = Context(1, 5, {"site": "site-01", "socket": "/none"}, RecordDict(), {})
    client.courier.runner._write_down("a reason", context, Settings("none", courier, TRUST, told=told.append))
    assert [event["reason"] for event in told] == ["not in the audit (WorkerUnreachableError)"]


def raising(message: Message, context: Context) -> Message:
    raise ValueError("patient 12345 not found in /data/secret.csv")


def exiting(message: Message, context: Context) -> Message:
    sys.exit("patient 12345")


def nothing(message: Message, context: Context) -> Message:
    return None  # type: ignore[return-value]


def dying(message: Message, context: Context) -> Message:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hanging(message: Message, context: Context) -> Message:
    time.sleep(60)
    raise AssertionError


def declining(message: Message, context: Context) -> Message:
    return Message(Error(102, "the site's worker cannot be reached"), reply_to=message)


@pytest.mark.parametrize(
    ("app", "code", "said"),
    [
        (raising, 2, "the site's runner failed; the site's log says where"),
        (exiting, 2, "the site's runner failed; the site's log says where"),
        (nothing, 2, "the site's runner failed; the site's log says where"),
        (dying, 8, "stopped in the middle"),
        (hanging, 8, "gave no answer within the time"),
        (declining, 102, "the site's worker cannot be reached"),
    ],
)
def test_whatever_the_app_does_there_is_a_reply_in_words_of_ours(
    app: App,
    code: int,
    said: str,
    courier: CourierFolder,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    begun = time.monotonic()
    runtime = run(Runtime(OURS, ttl=1.0 if app is hanging else 30.0), courier, monkeypatch, app)
    assert time.monotonic() - begun < 10
    assert runtime.reply
    assert runtime.reply.error.code == code
    assert said in str(runtime.reply.error.reason)
    assert [event["event"] for event in runtime.events] == ["failed"]
    assert "12345" not in f"{runtime.reply.error} {runtime.outcome} {runtime.events} {capfd.readouterr()}"


def test_a_task_that_the_node_gave_up_ends_its_child_and_not_the_runner(
    courier: CourierFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = run(Runtime(OURS, alive=False), courier, monkeypatch, hanging)
    assert runtime.reply
    assert runtime.reply.error.code == 8


def test_a_large_answer_comes_through(courier: CourierFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(1000) * 20_000
    runtime = run(Runtime(OURS), courier, monkeypatch, lambda message, _: Message(to_record(data), reply_to=message))
    assert runtime.reply
    assert from_record(runtime.reply.content) == data


def test_flowers_own_failure_is_one_task_lost(courier: CourierFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(OURS)

    def broken(_: object) -> Any:
        raise ConnectionError("http://10.0.0.1/secret")

    monkeypatch.setattr(runtime, "pull", broken)
    run(runtime, courier, monkeypatch)
    assert runtime.outcome == ("failed", "the site's runner failed")
    assert [event["reason"] for event in runtime.events] == ["ConnectionError in Flower's runtime"]


def test_a_runner_without_its_secret_says_what_makes_one(courier: CourierFolder) -> None:
    with pytest.raises(ExpectedError, match="secret cannot be read.*ceus-site join"):
        client.courier.runner.serve(Settings("127.0.0.1:9", courier, TRUST))
    courier.superexec_secret.write_bytes(b"short")
    with pytest.raises(ExpectedError, match="too short"):
        client.courier.runner.serve(Settings("127.0.0.1:9", courier, TRUST))
