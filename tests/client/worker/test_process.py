from __future__ import annotations

import contextlib
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import Message, Refusal, Task, Update
from ceus_models.runtime.errors import ExpectedError
from client.courier.ipc import WorkerTooSlowError, ask, header
from client.worker.process import Limits, serve
from client.worker.unix_socket import listen

TASK = Task("train", "study", 1, "submodels", 1, inputs={"net|w": torch.arange(6.0).reshape(2, 3)})


class Doubler:
    """A site that answers with twice what it is sent, and breaks where the task's stage says so."""

    name = "site-01"

    def handle(self, task: Task) -> Update | Refusal:
        if task.stage == "break":
            raise ValueError("patient 12345 is not in /data/secret.csv")
        if task.stage == "exit":
            raise SystemExit(1)
        if task.stage == "odd":
            return Update(self.name, {"x": torch.zeros(1, dtype=torch.float16)}, 1.0)
        return Update(self.name, {name: 2 * tensor for name, tensor in task.inputs.items()}, 6.0)


@pytest.fixture
def path() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    yield folder / "w.sock"
    shutil.rmtree(folder)


@pytest.fixture
def told(path: Path) -> list[str]:
    """A worker is listening; its log."""
    lines: list[str] = []
    limits = Limits(task_bytes=1 << 20, read_s=0.5, write_s=2.0, burst=10_000)
    threading.Thread(target=serve, args=(path, Doubler(), limits, lines.append), daemon=True).start()
    wait_for(lambda: bool(lines))
    return lines


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def answer(path: Path, message: Message | bytes) -> Message:
    return decode(ask(path, message if isinstance(message, bytes) else to_bytes(message), 5.0))


def is_well(path: Path) -> bool:
    reply = answer(path, TASK)
    return isinstance(reply, Update) and torch.equal(reply.sums["net|w"], 2 * TASK.inputs["net|w"])


def test_a_task_is_answered_again_and_again(path: Path, told: list[str]) -> None:
    assert all(is_well(path) for _ in range(3))
    wait_for(lambda: sum("train submodels 1" in line for line in told) == 3)


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (b"", "at least 8 bytes"),
        (b"garbage that is no message", "within the message and its limit|length"),
        (to_bytes(Refusal("x", "y")), "takes tasks only"),
        (bytes(2 << 20), "at most 1048576 bytes"),
    ],
    ids=["empty", "garbage", "not a task", "too large"],
)
def test_what_is_no_task_gets_a_refusal_and_the_worker_lives(
    path: Path, told: list[str], request_: bytes, rule: str
) -> None:
    reply = answer(path, request_)
    assert isinstance(reply, Refusal)
    assert reply.code == "error"
    assert any(part in reply.reason for part in rule.split("|"))
    assert is_well(path)


@pytest.mark.parametrize("stage", ["break", "exit"])
def test_a_bug_in_the_site_is_a_refusal_without_its_text(path: Path, told: list[str], stage: str) -> None:
    reply = answer(path, Task("train", "study", 1, stage, 1))
    assert isinstance(reply, Refusal)
    assert "12345" not in f"{reply.reason} {told}"
    assert "secret" not in f"{reply.reason} {told}"
    assert is_well(path)


def test_an_answer_that_cannot_travel_is_logged_and_the_worker_lives(path: Path, told: list[str]) -> None:
    with pytest.raises(ExpectedError):
        ask(path, to_bytes(Task("train", "study", 1, "odd", 1)), 2.0)
    wait_for(lambda: any("could not be delivered" in line for line in told))
    assert is_well(path)


@pytest.mark.parametrize("sent", [b"", header(8)[:2], header(1000) + b"half"], ids=["none", "header", "half"])
def test_a_courier_that_stalls_or_leaves_is_dropped(path: Path, told: list[str], sent: bytes) -> None:
    for leaves in (False, True):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(path))
            connection.sendall(sent)
            if not leaves:
                assert connection.recv(1) == b""  # the worker hung up, after its time to read
        assert is_well(path)


def test_a_courier_that_does_not_fetch_its_answer_is_dropped(path: Path, told: list[str]) -> None:
    data = to_bytes(Task("train", "study", 1, "s", 1, inputs={"net|w": torch.ones(200_000)}))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(path))
        connection.sendall(header(len(data)) + data)
        begun = time.monotonic()
        wait_for(lambda: any("could not be delivered" in line for line in told))
        assert time.monotonic() - begun < 4.0
    assert is_well(path)


def test_the_socket_is_for_owner_and_group_and_a_dead_workers_is_replaced(path: Path) -> None:
    listen(path).close()
    assert path.is_socket()
    with listen(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with pytest.raises(ExpectedError, match="another worker"):
            listen(path)


def test_a_worker_whose_queue_is_full_is_not_taken_for_dead(path: Path) -> None:
    with listen(path) as server, contextlib.ExitStack() as stack:
        server.listen(1)
        waiting = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(5)]
        for connection in waiting:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect(str(path))
        with pytest.raises(ExpectedError, match="another worker"):
            listen(path)
        with pytest.raises(WorkerTooSlowError):
            ask(path, b"x", 0.2)


def test_a_path_that_the_kernel_cannot_take_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="at most 100 bytes"):
        listen(tmp_path / ("x" * 100))
    with pytest.raises(ExpectedError, match="No such file"):
        listen(Path("/tmp/ceus-absent-folder/w.sock"))
