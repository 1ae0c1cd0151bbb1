"""The site's runner: takes a SuperNode's tasks in place of `flower-superexec`, and runs only what was approved.

A bundle is judged by its bytes and is never unpacked or imported: what runs is the installed
`client.courier.client_app`, in a child that is forked warm, so that no message pays for an import. Whatever happens
the SuperNode gets a reply, because it waits for one without limit, and no text of an exception goes with it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from flwr.app import Context, Error, Message
from flwr.common.constant import ErrorCode, SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest, SendTaskHeartbeatRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.heartbeat import HeartbeatSender
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.run import Run
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from ceus_models.pki.enrolment import utc_now
from ceus_models.protocol.flower_records import from_record, to_record
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_cli
from ceus_models.runtime.json_logs import log_as_json
from ceus_models.runtime.supervisor import log_event
from client.courier.approval import ApprovalFault, in_force, refusal_reason
from client.courier.client_app import app as courier_app
from client.courier.fab import ForeignBundleError, Trust, find_trust
from client.courier.folder import CourierFolder
from client.courier.forked_task import Child, ChildFault, Reply, run_in_child
from client.courier.ipc import notify
from client.courier.kit import load_kit
from client.courier.waiting import keep_waiting, note_alarm

_NOTICE_S = 5.0
_ACQUIRE = "/flwr.proto.Runtime/AcquireTask"
_CAUSES = {
    "too slow": (ErrorCode.CLIENT_APP_CRASHED, "the site's courier gave no answer within the time of the message"),
    "died": (ErrorCode.CLIENT_APP_CRASHED, "the site's courier stopped in the middle of the message"),
}
_BROKEN = (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "the site's runner failed; the site's log says where")

Told = Callable[[Mapping[str, object]], None]
"""Is told of every task: event (ran, refused, failed, alarm), run, bundle (SHA-256), reason, at."""
App = Callable[[Message, Context], Message]


@dataclass(frozen=True)
class Settings:
    """api: host:port of the SuperNode's Runtime · trust: whose bundles wait · longest_s: of a message."""

    api: str
    courier: CourierFolder
    trust: Trust
    longest_s: float = 6 * 3600.0
    poll_s: float = 0.2
    told: Told = field(default=log_event)
    app: App = field(default=lambda message, context: courier_app(message=message, context=context))


cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    courier: Annotated[Path, typer.Option(help="The courier's folder: kit, approvals, secret.")],
    api: Annotated[str, typer.Option(help="The SuperNode's Runtime API, host:port on this machine.")],
    longest_s: Annotated[float, typer.Option(min=1, help="The longest that a message may take, in seconds.")] = 21600.0,
) -> None:
    """Take the SuperNode's tasks and run what is approved, until stopped."""
    log_as_json("flwr")
    folder = CourierFolder(courier.resolve())
    kit = load_kit(folder, utc_now())
    serve(Settings(api, folder, find_trust(kit), longest_s))


def serve(settings: Settings) -> None:
    """Take tasks one at a time, for ever. Raises ExpectedError when the SuperNode does not let this runner in."""
    secret = _secret(settings.courier)
    door = _client(settings.api, SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods={_ACQUIRE}))
    every_kind = AcquireTaskRequest(supported_task_types=list(TaskType))  # one that nobody takes would block the node
    settings.told({"event": "ready", "at": time.time()})
    while True:
        try:
            taken = door.AcquireTask(every_kind)
        except Exception as error:
            raise ExpectedError(
                f"the SuperNode at {settings.api} gives no tasks ({type(error).__name__}): is it running, and started "
                f"with --isolation process --superexec-auth-secret-file {settings.courier.superexec_secret}?"
            ) from None
        if taken.HasField("task") and taken.token:
            _serve_task(taken.token, taken.task.type, settings)
        else:
            time.sleep(settings.poll_s)


def _serve_task(token: str, kind: str, settings: Settings) -> None:
    """One task from its input to its output. Never raises: the next task is another one."""
    client = _client(settings.api, RuntimeTokenHttpInterceptor(token))
    try:
        _run_task(client, kind, settings)
    except Exception as error:  # the node went away in between, or Flower failed: it notices by the missing heartbeat
        settings.told({"event": "failed", "reason": f"{type(error).__name__} in Flower's runtime", "at": time.time()})
    finally:
        client.close()


def _run_task(client: RuntimeHttpClient, kind: str, settings: Settings) -> None:
    context: Context | None = None
    reply: Message | None = None
    details = "the site's runner failed"
    try:
        with _Heartbeat(client):
            message, context, run, fab = pull_task_input(client)
        reason = _verdict(kind, run, fab, context, settings)
        if reason:
            reply, details = Message(Error(ErrorCode.INVALID_FAB, reason), reply_to=message), reason
        else:
            reply, details = _answer(client, message, context, settings)
        if reason:
            _look_at(fab.content, settings)
            _write_down(reason, context, settings)
        outcome = "refused" if reason else "failed" if details else "ran"
        settings.told(
            {"event": outcome, "run": str(run.run_id), "bundle": fab.hash_str, "reason": details, "at": time.time()}
        )
    finally:
        _deliver(client, reply, context, details)


def _look_at(bundle: bytes, settings: Settings) -> None:
    """Keep what the coordinator signed until somebody decides, and alarm the site of what it did not."""
    at = utc_now()
    with suppress(ApprovalFault):  # the log has it
        if hashlib.sha256(bundle).hexdigest() in {one.sha256 for one in in_force(settings.courier)}:
            return
    try:
        keep_waiting(settings.courier, bundle, settings.trust)
    except ForeignBundleError as error:
        settings.told({"event": "alarm", "reason": str(error), "at": at.timestamp()})
        with suppress(OSError):
            note_alarm(settings.courier, bundle, str(error), at)
    except (ExpectedError, OSError) as error:
        settings.told(
            {"event": "waiting", "reason": f"not kept ({type(error).__name__}: {error})", "at": at.timestamp()}
        )


def _write_down(reason: str, context: Context, settings: Settings) -> None:
    """Have the worker put the refusal into the site's audit, which is not the courier's to write."""
    try:
        notify(Path(str(context.node_config["socket"])), reason, _NOTICE_S)
    except (ExpectedError, KeyError) as error:  # the coordinator is told all the same
        settings.told({"event": "notice", "reason": f"not in the audit ({type(error).__name__})", "at": time.time()})


def _deliver(client: RuntimeHttpClient, reply: Message | None, context: Context | None, details: str) -> None:
    """Hand back what there is; the task ends even if the reply cannot be sent."""
    try:
        if reply is not None and context is not None:
            with _Heartbeat(client):
                push_message(client, reply, context)
    finally:
        push_task_output(client, context, SubStatus.FAILED if details else SubStatus.COMPLETED, details)


def _verdict(kind: str, run: Run, fab: Fab, context: Context, settings: Settings) -> str | None:
    """Why the task is refused, or None."""
    if kind != TaskType.CLIENT_APP:
        return f"this site runs no task of the kind {kind[:40]}"
    try:
        known = in_force(settings.courier)
    except ApprovalFault as error:
        settings.told({"event": "approvals", "reason": str(error), "at": time.time()})
        return "this site's approvals cannot be used; its log says why"
    return refusal_reason(known, fab.content, settings.trust.federation, {**context.run_config, **run.override_config})


def _answer(client: RuntimeHttpClient, message: Message, context: Context, settings: Settings) -> tuple[Message, str]:
    """The installed app's reply, and what went wrong ("" for nothing)."""
    seconds = max(1.0, min(message.metadata.ttl, settings.longest_s))
    child = run_in_child(lambda: _plain(settings.app, message, context))
    try:
        with _Heartbeat(client, child):
            found = child.reply(seconds)
    except ChildFault as fault:
        code, reason = _CAUSES[fault.cause]
        return Message(Error(code, reason), reply_to=message), reason
    finally:
        child.end()
    if found.code is not None:
        return Message(Error(found.code, found.reason), reply_to=message), found.reason
    return Message(to_record(found.data), reply_to=message), ""


def _plain(app: App, message: Message, context: Context) -> Reply:
    """The app's reply as bytes, in the child. Its own errors have words of ours; an exception's text stays here."""
    try:
        reply = app(message, context)
        if reply.has_error():
            return Reply(code=int(reply.error.code), reason=reply.error.reason or "")
        return Reply(data=from_record(reply.content))
    except BaseException as error:
        log_event({"event": "exception", "type": type(error).__name__, "at": time.time()})
        return Reply(code=_BROKEN[0], reason=_BROKEN[1])


class _Heartbeat:
    """Says that the task is alive, from a thread that has ended before anything forks.

    Where the SuperNode has given the task up, the child is ended; Flower's own sender would end this process.
    """

    def __init__(self, client: RuntimeHttpClient, child: Child | None = None) -> None:
        self._client, self._child = client, child
        self._sender = HeartbeatSender(self._beat)

    def __enter__(self) -> None:
        self._sender.start()

    def __exit__(self, *_: object) -> None:
        if self._sender.is_running:
            self._sender.stop()

    def _beat(self) -> bool:
        try:
            alive = self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success
        except Exception:
            return False  # it is tried again
        if not alive and self._child is not None:
            self._child.kill()
        return True


def _client(api: str, interceptor: RuntimeTokenHttpInterceptor | SuperExecAuthHttpInterceptor) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        api,
        True,  # plain HTTP: the SuperNode's Runtime listens on this machine only
        None,
        interceptors=[RuntimeVersionHttpInterceptor(component_name="fedceus-runner"), interceptor],
        retry_invoker=make_simple_http_retry_invoker(),
    )


def _secret(courier: CourierFolder) -> bytes:
    try:
        secret = courier.superexec_secret.read_bytes()
    except OSError as error:
        raise ExpectedError(
            f"the runner's secret cannot be read ({error.strerror}): `ceus-site join` makes {courier.superexec_secret}"
        ) from None
    if len(secret) < 32:
        raise ExpectedError(f"the runner's secret is too short; delete it and join again: {courier.superexec_secret}")
    return secret


if __name__ == "__main__":
    run_cli(cli)
