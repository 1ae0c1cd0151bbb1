"""Whether a site can answer: the worker says so, and the coordinator was heard lately. Not whether processes live.

`ceus-site health FOLDER`; containers call `python -m client.service.health FOLDER`, which loads neither torch
nor a codec.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_cli
from ceus_models.runtime.findings import Check, Finding, make_fault, make_ok, name_folder, print_findings, run_checks
from ceus_models.runtime.humanize import format_age
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from ceus_models.runtime.liveness.moment import Moment, compute_age, read_clock
from client.courier.folder import CourierFolder, courier_of, socket_of, state_socket
from client.courier.ipc import read_status
from client.service.bundle_findings import list_alarms, list_waiting
from client.service.watchdogs import ABANDONED_S, CONTACT_S

Part = Literal["worker", "courier"]
PARTS: tuple[Part, ...] = ("worker", "courier")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("health")
def health_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder.", show_default=False)],
    socket: Annotated[
        Path | None, typer.Option(help="Where the worker listens [default: FOLDER/run/worker.sock].")
    ] = None,
    part: Annotated[str, typer.Option(help="worker or courier, where they run apart [default: both].")] = "",
    as_machine: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output, for a machine.")
    ] = False,
) -> None:
    """Tell whether this site can answer a task now; exit code 0 if it can."""
    if part and part not in PARTS:
        raise ExpectedError(f"a part is {' or '.join(PARTS)}, not {part!r}")
    parts = [one for one in PARTS if part in ("", one)]
    found = health_of(folder, socket or socket_of(folder), parts)
    raise typer.Exit(print_findings((name_folder(one, folder) for one in found), as_machine))


def health_of(
    folder: Path, socket: Path, parts: Sequence[Part], clock: Callable[[], Moment] = read_clock
) -> list[Finding]:
    """What each part does that is asked for, or why it cannot answer and what to do."""
    courier = courier_of(folder)
    checks: dict[Part, list[Check]] = {
        "worker": [("worker", lambda: _worker(socket))],
        "courier": [
            ("courier", lambda: _courier(courier, clock())),
            ("ALARM", lambda: list_alarms(courier)),
            ("approval", lambda: list_waiting(courier)),
        ],
    }
    return list(run_checks(check for part in parts for check in checks[part]))


def _worker(socket: Path) -> Finding:
    status = read_status(state_socket(socket))
    if status["wrong"]:
        raise ExpectedError(status["wrong"])
    if status["alone_s"] > ABANDONED_S:
        return make_fault("worker", "it works on a task that nobody waits for any more", "wait: it is started anew")
    said = f"{status['doing']} for {status['for_s']:.0f} s, {status['answers']} requests answered"
    return make_ok("worker", f"{said}; {status['chosen']}" if status["chosen"] else said)


def _courier(courier: CourierFolder, now: Moment) -> Finding:
    last = Heartbeat(courier.contact).last()
    if last is None:
        return make_fault(
            "courier", "the coordinator has not been reached yet", "`ceus-site preflight FOLDER` tells why"
        )
    age = compute_age(last.at, now)
    if age is None:
        said = f"the coordinator answered {format_age(age)}"
        return make_fault("courier", said, "set the clock by NTP; every answer from now on has a known time")
    if age > CONTACT_S:
        remedy = "the courier's log tells why, or `ceus-site preflight FOLDER`"
        return make_fault("courier", f"the coordinator has not been heard for {age:.0f} s", remedy)
    return make_ok("courier", f"the coordinator answered {age:.0f} s ago")


if __name__ == "__main__":
    run_cli(app)
