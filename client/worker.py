"""The worker: the installed, versioned half of a site, which owns the samples and has no network.

It listens on a Unix socket, stays warm between messages, and answers a hostile courier no differently from an honest
one: whatever arrives, it gives back an update or a refusal in words of ours, and goes on listening.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import torch
import typer

from ceus_models.encoding import WireError, decode, encode
from ceus_models.exits import run_cli
from ceus_models.failures import ExpectedError
from ceus_models.processing import load_processing
from ceus_models.wire import Refusal, Task, Update
from client.courier import MAX_MESSAGE_BYTES, FrameError, receive_frame, send_frame
from client.opening import open_site

_LONGEST_PATH = 100  # bytes; the kernel's own limit is 108
_OWNER_AND_GROUP = 0o117  # umask: the courier may be another user of the same group


class Handler(Protocol):
    """What the worker needs of a site."""

    @property
    def name(self) -> str:
        """The site's name, as the coordinator knows it."""
        ...

    def handle(self, task: Task) -> Update | Refusal:
        """The site's own answer to a task."""
        ...


@dataclass(frozen=True)
class Limits:
    """Bounds of one exchange over the socket: bytes of a task, seconds to read it and to write the answer."""

    task_bytes: int = MAX_MESSAGE_BYTES
    read_s: float = 120.0
    write_s: float = 120.0


LIMITS = Limits()
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    folder: Annotated[Path, typer.Option(help="The site's folder, indexed.")],
    plan: Annotated[Path, typer.Option(help="The study's plan, for its processing settings.")],
    socket_path: Annotated[Path, typer.Option("--socket", help="Where to listen.")],
) -> None:
    """Answer the courier's tasks for one site, until stopped."""
    torch.set_num_threads(1)  # the same numbers on every machine, and no fight for cores
    serve(socket_path, open_site(folder, load_processing(plan), told))


def told(line: str) -> None:
    """Say it on standard output at once: the site's log."""
    print(line, flush=True)


def serve(socket_path: Path, site: Handler, limits: Limits = LIMITS, log: Callable[[str], None] = told) -> None:
    """Answer tasks one at a time, for ever. Raises ExpectedError if the socket cannot be opened."""
    with listener(socket_path) as server:
        log(f"worker of {site.name}: listening")
        while True:
            connection, _ = server.accept()
            with connection:
                log(f"worker of {site.name}: {_exchange(connection, site, limits)}")


def listener(socket_path: Path) -> socket.socket:
    """An open Unix socket at `socket_path`. Raises ExpectedError if the path is too long, taken or not writable."""
    if len(os.fsencode(socket_path)) > _LONGEST_PATH:
        raise ExpectedError(f"a socket's path has at most {_LONGEST_PATH} bytes; choose a shorter one: {socket_path}")
    if _is_served(socket_path):
        raise ExpectedError(f"another worker listens on {socket_path} already; stop it first")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_OWNER_AND_GROUP)
    try:
        socket_path.unlink(missing_ok=True)
        server.bind(str(socket_path))
        server.listen()
    except OSError as error:
        server.close()
        raise ExpectedError(f"no socket can be opened at {socket_path}: {error.strerror}") from None
    finally:
        os.umask(before)
    return server


def _is_served(socket_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(socket_path))
        except OSError:
            return False
        return True


def _exchange(connection: socket.socket, site: Handler, limits: Limits) -> str:
    """One request and its answer; a line for the site's log. Never raises for what the other side does."""
    start = time.monotonic()
    try:
        data = receive_frame(connection, start + limits.read_s, limits.task_bytes)
        answer, asked = _answer(data, site)
    except FrameError as error:
        answer, asked = Refusal(site.name, str(error), "error"), "a frame that breaks the rules"
    except TimeoutError:
        return f"a request was not complete within {limits.read_s:.0f} s and was dropped"
    except OSError:
        return "a connection was closed without a request"
    said = _said(answer)
    try:
        send_frame(connection, encode(answer), time.monotonic() + limits.write_s)
    except (OSError, ExpectedError) as error:
        said += f", which could not be delivered ({type(error).__name__})"
    return f"{asked} → {said}, {time.monotonic() - start:.2f} s"


def _said(answer: Update | Refusal) -> str:
    if isinstance(answer, Refusal):
        return f"refusal ({answer.code}: {answer.reason})"
    return f"update of weight {answer.weight:g}"


def _answer(data: bytearray, site: Handler) -> tuple[Update | Refusal, str]:
    """The answer to one message, and what the message was."""
    try:
        task = decode(data)
    except WireError as error:
        return Refusal(site.name, str(error), "error"), "a message that cannot be read"
    if not isinstance(task, Task):
        return Refusal(site.name, "a worker takes tasks only", "error"), f"a {type(task).__name__}"
    asked = f"{task.kind} {task.stage} {task.round}"
    try:
        return site.handle(task), asked
    except (Exception, SystemExit) as error:  # a bug; its text may quote a file or a patient, so it stays out
        return Refusal(site.name, f"the worker failed on this task ({type(error).__name__})", "error"), asked


if __name__ == "__main__":
    run_cli(app)
