"""Whether a site can answer: the worker says so, and the coordinator was heard lately. Not whether processes live.

`ceus-site health FOLDER`; containers call `python -m client.service.health FOLDER`, which loads neither torch
nor a codec.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_cli
from client.courier.folder import CourierFolder, courier_of, socket_of, state_socket
from client.courier.ipc import read_status
from client.service.watchdogs import ABANDONED_S, CONTACT_S, last_contact

Part = Literal["worker", "courier"]
PARTS: tuple[Part, ...] = ("worker", "courier")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Health:
    """Of one part. said: what it does, or why it cannot answer and what to do."""

    part: Part
    ok: bool
    said: str


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
    found = health_of(folder, socket or socket_of(folder), [one for one in PARTS if part in ("", one)])
    ok = all(one.ok for one in found)
    if as_machine:
        typer.echo(json.dumps({"ok": ok, "parts": [asdict(one) for one in found]}))
    else:
        for one in found:
            typer.echo(f"{one.part}: {'' if one.ok else 'CANNOT ANSWER: '}{one.said}")
    raise typer.Exit(0 if ok else 1)


def health_of(
    folder: Path, socket: Path, parts: Sequence[Part], clock: Callable[[], float] = time.time
) -> list[Health]:
    """Each part that is asked for."""
    looks = {"worker": lambda: _worker(socket), "courier": lambda: _courier(courier_of(folder), clock())}
    return [looks[part]() for part in parts]


def _worker(socket: Path) -> Health:
    try:
        status = read_status(state_socket(socket))
    except ExpectedError as error:
        return Health("worker", False, str(error))
    if status["wrong"]:
        return Health("worker", False, status["wrong"])
    if status["alone_s"] > ABANDONED_S:
        return Health("worker", False, "it works on a task that nobody waits for any more; it is started anew")
    said = f"{status['doing']} for {status['for_s']:.0f} s, {status['answers']} requests answered"
    return Health("worker", True, f"{said}; {status['chosen']}" if status["chosen"] else said)


def _courier(courier: CourierFolder, at: float) -> Health:
    last = last_contact(courier)
    if not last:
        return Health("courier", False, "the coordinator has not been reached yet; `ceus-site preflight` tells why")
    quiet = at - last
    if quiet > CONTACT_S:
        return Health(
            "courier",
            False,
            f"the coordinator has not been heard for {quiet:.0f} s; its log, or `ceus-site preflight`, tells why",
        )
    return Health("courier", True, f"the coordinator answered {max(quiet, 0):.0f} s ago")


if __name__ == "__main__":
    run_cli(app)
