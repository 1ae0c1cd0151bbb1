"""Flower's SuperNode as a site runs it: it ends where Flower's own would live on, useless, and says when it was heard.

One HTTP 500 ends the main loop or the heartbeats of a stock SuperNode, and its process lives on, offline for ever. Here
the end of either is the end of the process, so that a supervisor starts it again. And where a run ends while one of its
messages is on the way, a stock SuperNode keeps the half of it, for which the runner would wait for two hours; here the
message is dropped.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import uvicorn.config
from flwr.supernode import fleet_http_connection
from flwr.supernode.cli import flower_supernode
from flwr.supernode.fleet_http_client import FleetHttpClient

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.exit_codes import run_cli
from ceus_models.runtime.json_logs import log_as_json
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from ceus_models.runtime.supervisor import log_event
from client.courier.folder import CourierFolder
from client.courier.kit import load_kit

_DEAD_THREAD, _MAIN_LOOP_ENDED = 70, 71
_PIECES = ("/v1/fleet/pull-object", "/v1/fleet/confirm-message-received")
LOOPBACK = "127.0.0.1"
cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    courier: Annotated[Path, typer.Option(help="The courier's folder: kit, key, secret.")],
    socket: Annotated[Path, typer.Option(help="Where the worker listens.")],
    port: Annotated[int, typer.Option(help="A free port of this machine, for the runner.")],
) -> None:
    """Take the coordinator's messages to the runner, and its answers back, until stopped."""
    folder = CourierFolder(courier.resolve())
    kit = load_kit(folder, utc_now())
    log_as_json("flwr")
    uvicorn.config.LOGGING_CONFIG["formatters"]["default"] = {"()": "ceus_models.runtime.json_logs.JsonFormatter"}
    threading.excepthook = _thread_died
    fleet_http_connection.FleetHttpClient = record_contact(folder.contact)  # type: ignore[attr-defined] # no seam for it
    sys.argv = ["flower-supernode", *options(folder, kit.address), "--host", LOOPBACK, "--port", str(port)]
    sys.argv += ["--node-config", f'site="{kit.site}" socket="{socket}"']
    flower_supernode()
    _end("the SuperNode's main loop ended", _MAIN_LOOP_ENDED)


def options(courier: CourierFolder, address: str) -> list[str]:
    """What Flower's SuperNode is told: where, by which certificate and key, and that others run the tasks."""
    return [
        *("--superlink", address),
        *("--root-certificates", str(courier.ca)),
        *("--auth-supernode-private-key", str(courier.key)),
        *("--isolation", "process"),
        *("--superexec-auth-secret-file", str(courier.superexec_secret)),
    ]


class RunOver(Exception):
    """The run ended in the middle of a message. Flower's own word for it passes by the place that drops the message."""

    def __str__(self) -> str:
        """For the node's log."""
        return "its run has ended"


def record_contact(contact: Path) -> type[FleetHttpClient]:
    """Flower's client of the coordinator, whose file has a heartbeat whenever it was answered."""
    heard = Heartbeat(contact)

    class Heard(FleetHttpClient):
        def _unary_unary(self, **call: Any) -> Any:
            try:
                answer = super()._unary_unary(**call)
            except httpx.HTTPStatusError as error:
                if error.response.status_code == httpx.codes.FORBIDDEN and call["path"] in _PIECES:
                    raise RunOver from error
                raise
            heard.beat()
            return answer

    return Heard


def _thread_died(dead: threading.ExceptHookArgs) -> None:
    _end(f"a thread of the SuperNode died ({dead.exc_type.__name__})", _DEAD_THREAD)


def _end(why: str, code: int) -> None:
    log_event({"event": "node", "said": f"{why}; it is started again"})
    os._exit(code)


if __name__ == "__main__":
    run_cli(cli)
