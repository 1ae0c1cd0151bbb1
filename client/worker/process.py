"""The worker: the installed, versioned half of a site, which owns the samples and has no network.

It listens on a Unix socket, stays warm between messages, and answers a hostile courier no differently from an honest
one: whatever arrives, it gives back an update or a refusal in words of ours, and goes on listening.
"""

from __future__ import annotations

import errno
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Protocol

import typer

from ceus_models.protocol.encoding import MAX_REASON, WireError, decode, encode
from ceus_models.protocol.messages import PROTOCOL, Refusal, Task, Update
from ceus_models.protocol.software import read_software
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_cli
from ceus_models.runtime.humanize import clean_text
from ceus_models.runtime.supervisor import log_event
from client.courier.folder import state_socket
from client.courier.ipc import FRAMING, MAX_MESSAGE_BYTES, NOTICE, Frame, FrameError, receive_frame, send_frame
from client.data.forms.site_config import load_site
from client.worker.rate_limit import TokenBucket
from client.worker.site.open_site import open_own_site
from client.worker.site.site import Site
from client.worker.status import WorkerStatus, serve_status, watch_obstacles
from client.worker.unix_socket import listen

_TRANSIENT = {errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


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
    """Bounds of one exchange over the socket, and of all of them.

    Args:
        task_bytes: Size of a task.
        read_s: Seconds to read a task.
        write_s: Seconds to write the answer.
        idle_s: Longest wait for the next bytes of a task.
        burst: Requests taken at once; each may write a kilobyte to log and audit.
        per_second: Requests taken steadily.
    """

    task_bytes: int = MAX_MESSAGE_BYTES
    read_s: float = 120.0
    write_s: float = 120.0
    idle_s: float = 5.0
    burst: int = 300
    per_second: float = 2.0


class Stopped(BaseException):
    """The worker was told to end (SIGTERM). No handler of errors catches it."""


LIMITS = Limits()
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    folder: Annotated[Path, typer.Option(help="The site's folder, indexed.")],
    socket_path: Annotated[Path, typer.Option("--socket", help="Where to listen.")],
    name: Annotated[str, typer.Option("--site", help="The site's name [default: the folder's].")] = "",
) -> None:
    """Answer the courier's tasks for one site, until stopped."""
    site = open_own_site(folder, name, log_line)
    status = WorkerStatus(site.name, watch_obstacles(load_site(folder)))
    with _audit_start_and_stop(site), serve_status(state_socket(socket_path), status):
        serve(socket_path, site, on_refusal=site.record_refusal, status=status)


def log_line(line: str) -> None:
    """Write a line to the site's log, which is standard output."""
    log_event({"event": "worker", "said": line})


def serve(
    socket_path: Path,
    site: Handler,
    limits: Limits = LIMITS,
    log: Callable[[str], None] = log_line,
    on_refusal: Callable[[Refusal], None] = lambda _: None,
    status: WorkerStatus | None = None,
) -> None:
    """Answer tasks one at a time, for ever.

    Args:
        socket_path: Where to listen.
        site: What answers a task.
        limits: Bounds of the exchanges.
        log: Called with one line for each request.
        on_refusal: Called with every refusal of what was no task.
        status: Kept up to date.

    Raises:
        ExpectedError: The socket cannot be opened.
    """
    bucket = TokenBucket(limits.burst, limits.per_second)
    status = status or WorkerStatus(site.name)
    with listen(socket_path) as server:
        log(f"worker of {site.name}: listening")
        while True:
            connection = _accept(server, log)
            bucket.wait()
            with connection, status.track(connection):
                log(f"worker of {site.name}: {_exchange(connection, site, limits, on_refusal)}")


@contextmanager
def _audit_start_and_stop(site: Site) -> Iterator[None]:
    """Audit when the worker began, with which versions, and that it was told to end."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    if site.trail:
        installed = read_software()
        site.trail.record_start(
            fedceus=installed.fedceus,
            package=installed.package,
            installed=installed.installed,
            protocol=str(PROTOCOL),
            machine=site.restoration.machine if site.restoration else "",
            framing=str(FRAMING),
            processing=site.processing,
            python=installed.python,
            torch=installed.torch,
        )
    try:
        yield
    except (Stopped, KeyboardInterrupt) as cause:
        if site.trail:
            site.trail.record_stop()
        log_line(f"worker of {site.name}: stopped")
        if isinstance(cause, KeyboardInterrupt):
            raise


def _accept(server: socket.socket, log: Callable[[str], None]) -> socket.socket:
    """Wait for a connection, also while the machine has no resources for one."""
    while True:
        try:
            return server.accept()[0]
        except OSError as error:
            if error.errno not in _TRANSIENT:
                raise
            log(f"too few resources to take a connection ({error.strerror}); trying again")
            time.sleep(0.5)


def _exchange(connection: socket.socket, site: Handler, limits: Limits, on_refusal: Callable[[Refusal], None]) -> str:
    """Answer one request and return a line for the site's log. Never raises for what the other side does."""
    start = time.monotonic()
    try:
        frame = receive_frame(connection, start + limits.read_s, limits.task_bytes, limits.idle_s)
        message, request = _read(frame, site)
    except FrameError as error:
        message, request = Refusal(site.name, str(error), "error"), "a frame that breaks the rules"
    except MemoryError:
        reason = "the message is larger than this site's memory, or its policy, allows"
        message, request = Refusal(site.name, reason, "error"), "a frame of that size"
    except TimeoutError:
        return "a request was not complete in time and was dropped"
    except OSError:
        return "a connection was closed without a request"
    answer = _answer(message, site, on_refusal)
    outcome = _describe(answer)
    try:
        send_frame(connection, encode(answer), time.monotonic() + limits.write_s)
    except (OSError, ExpectedError) as error:
        outcome += f", which could not be delivered ({type(error).__name__})"
    return f"{request} → {outcome}, {time.monotonic() - start:.2f} s"


def _describe(answer: Update | Refusal) -> str:
    if isinstance(answer, Refusal):
        return f"refusal ({answer.code}: {answer.reason})"
    return f"update of weight {answer.weight:g}"


def _answer(message: Task | Refusal, site: Handler, on_refusal: Callable[[Refusal], None]) -> Update | Refusal:
    """Have the site answer a task; a refusal of what was none is reported and returned."""
    if isinstance(message, Refusal):
        on_refusal(message)
        return message
    try:
        return site.handle(message)
    except (Exception, SystemExit) as error:  # a bug; its text may quote a file or a patient, so it stays out
        return Refusal(site.name, f"the worker failed on this task ({type(error).__name__})", "error")


def _read(frame: Frame, site: Handler) -> tuple[Task | Refusal, str]:
    """Read the task in a frame, or make the refusal of it; and name the request for the log."""
    if frame.kind == NOTICE:
        text = clean_text(frame.data[:MAX_REASON].decode(errors="replace"), MAX_REASON)
        return Refusal(site.name, f"the courier refused: {text}", "policy"), "a notice"
    try:
        message = decode(frame.data)
    except WireError as error:
        return Refusal(site.name, str(error), "error"), "a message that cannot be read"
    except Exception as error:  # whatever the bytes did to the reader: they end here
        return Refusal(site.name, f"the message cannot be read ({type(error).__name__})", "error"), "a message"
    if isinstance(message, Task):
        return message, f"{message.kind} {message.stage} {message.round}"
    return Refusal(site.name, "a worker takes tasks only", "error"), f"a {type(message).__name__}"


if __name__ == "__main__":
    run_cli(app)
