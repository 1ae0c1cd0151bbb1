from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

import client.courier.client_app
from ceus_models.protocol.flower_records import NAME_QUERY, TASK_QUERY, CourierError, from_record, to_record
from client.courier.ipc import (
    FrameError,
    WorkerTooSlowError,
    WorkerUnreachableError,
    ask,
    header,
    receive_frame,
    send_frame,
)

Talk = Callable[[socket.socket], None]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A path short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def worker(folder: Path) -> Iterator[Callable[[Talk], Path]]:
    """Starts a thread that takes one connection and talks on it as told."""
    threads: list[threading.Thread] = []

    def start(talk: Talk) -> Path:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(folder / "w.sock"))
        server.listen()

        def work() -> None:
            with server, server.accept()[0] as connection:
                talk(connection)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return folder / "w.sock"

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def soon() -> float:
    return time.monotonic() + 5.0


def echo(connection: socket.socket) -> None:
    send_frame(connection, [b"<", receive_frame(connection, soon()).data, b">"], soon())


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_what_is_asked_is_carried_whole(worker: Callable[[Talk], Path], size: int) -> None:
    data = b"ab" * (size // 2) + b"c" * (size % 2)
    assert ask(worker(echo), data, 5.0) == b"<" + data + b">"


def test_nobody_listens(folder: Path) -> None:
    with pytest.raises(WorkerUnreachableError):
        ask(folder / "absent.sock", b"x", 5.0)


def test_a_worker_that_is_being_started_is_waited_for(folder: Path) -> None:
    """Its service starts it anew: the socket of the one before is still there, and refuses."""
    path = folder / "w.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    started = threading.Event()

    def late() -> None:
        started.wait(10)
        path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(path))
            server.listen()
            with server.accept()[0] as connection:
                echo(connection)

    thread = threading.Thread(target=late)
    thread.start()
    with pytest.raises(WorkerUnreachableError):
        ask(path, b"x", 5.0, patience=0.3)
    started.set()
    assert ask(path, b"x", 20.0, patience=15.0) == b"<x>"
    thread.join(10)


def test_a_worker_that_hangs_up_is_unreachable_not_an_empty_answer(worker: Callable[[Talk], Path]) -> None:
    def half(connection: socket.socket) -> None:
        receive_frame(connection, soon())
        connection.sendall(header(100) + b"only this")

    with pytest.raises(WorkerUnreachableError):
        ask(worker(half), b"x", 5.0)


def test_a_worker_that_drips_cannot_hold_the_courier(worker: Callable[[Talk], Path]) -> None:
    def drip(connection: socket.socket) -> None:
        receive_frame(connection, soon())
        connection.sendall(header(1000))
        for _ in range(8):  # every piece comes well within the time-out, the whole does not
            time.sleep(0.1)
            with suppress(BrokenPipeError):
                connection.sendall(b".")

    begun = time.monotonic()
    with pytest.raises(WorkerTooSlowError, match="within 0 s"):
        ask(worker(drip), b"x", 0.4)
    assert time.monotonic() - begun < 0.8


def test_a_claimed_length_beyond_the_limit_is_refused_before_anything_is_read(worker: Callable[[Talk], Path]) -> None:
    def boast(connection: socket.socket) -> None:
        receive_frame(connection, soon())
        connection.sendall(header(1 << 62))

    with pytest.raises(FrameError, match=str(1 << 62)):
        ask(worker(boast), b"x", 5.0)


@pytest.fixture
def flower(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three fields that Flower's Message reads from its process."""
    for name, value in (("_run_id", 1), ("_node_id", 1), ("_task_id", 1)):
        monkeypatch.setattr(TaskIdentity, name, value)


def called(kind: str, content: RecordDict, **config: str) -> Message:
    """The ClientApp's reply, as Flower would call it."""
    context = Context(run_id=1, node_id=7, node_config=dict(config), state=RecordDict(), run_config={})
    return client.courier.client_app.app(Message(content, 7, kind, ttl=60.0), context)


@pytest.mark.usefixtures("flower")
def test_the_app_carries_bytes_both_ways(worker: Callable[[Talk], Path]) -> None:
    reply = called(TASK_QUERY, to_record(b"task"), site="site-01", socket=str(worker(echo)))
    assert from_record(reply.content) == b"<task>"


@pytest.mark.usefixtures("flower")
def test_the_app_tells_its_name_without_a_worker() -> None:
    assert from_record(called(NAME_QUERY, RecordDict(), site="site-01").content) == b"site-01"


@pytest.mark.usefixtures("flower")
@pytest.mark.parametrize(
    ("content", "config", "code"),
    [
        (to_record(b"x"), {"site": "a", "socket": "/nowhere/secret-patient.sock"}, CourierError.NO_WORKER),
        (to_record(b"x"), {"site": "a"}, CourierError.NOT_CONFIGURED),
        (RecordDict(), {"site": "a", "socket": "/nowhere/secret-patient.sock"}, CourierError.BAD_MESSAGE),
    ],
    ids=["no worker", "no socket named", "no message"],
)
def test_an_error_has_a_code_and_words_of_ours(
    content: RecordDict, config: dict[str, str], code: CourierError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.courier.client_app, "PATIENCE_S", 0.0)
    reply = called(TASK_QUERY, content, **config)
    assert reply.error.code == code
    assert "secret" not in reply.error.reason


@pytest.mark.usefixtures("flower")
@pytest.mark.parametrize("error", [SystemExit(1), RuntimeError("patient 12345"), KeyboardInterrupt()])
def test_whatever_happens_there_is_a_reply(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(client.courier.client_app, "ask", fail)
    reply = called(TASK_QUERY, to_record(b"x"), site="a", socket="/s")
    assert reply.has_error()
    assert "12345" not in reply.error.reason
