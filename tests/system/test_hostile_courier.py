"""A courier that means harm: whatever it sends, it gets refusals, and the worker lives, small and silent.

It is a process of its own, with real lesions, policy and audit: a crash is a crash, and its memory is its own.
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from toy_lesions import lesions, recipe, task

from ceus_models.protocol.encoding import decode, encode, to_bytes
from ceus_models.protocol.messages import Architecture, LocalRule, Message, Refusal, Task, Update
from ceus_models.runtime.errors import ExpectedError
from client.courier.ipc import FRAMING, FrameError, ask, header, notify, receive_frame
from client.worker.audit.log import entries
from client.worker.audit.verify import verify
from tests.support.open_policy import open_text

HELLO = task("hello", recipe=None, stage="hello")
WELCOME = {"training_a|lesions", "training_a|patients"}
SECRETS = [sample.key.encode() for sample in lesions(6)] + [b"toy_lesions", b".py", b"/tmp", b"/work", b"Traceback"]
MB = 1 << 20


@dataclass(frozen=True)
class Worker:
    """A worker process, as its courier sees it, and as its machine does."""

    folder: Path
    path: Path
    process: psutil.Process
    log: Path

    def asked(self, message: Message | bytes, seconds: float = 20.0) -> Message:
        raw = ask(self.path, message if isinstance(message, bytes) else to_bytes(message), seconds)
        assert not any(secret in raw for secret in SECRETS)
        return decode(raw)

    def sent(self, raw: bytes, seconds: float = 5.0) -> bytes:
        """What comes back for bytes without a proper frame; b"" where it hangs up."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(self.path))
            with suppress(ConnectionError):
                connection.sendall(raw)
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                return bytes(receive_frame(connection, time.monotonic() + seconds).data)
        return b""

    def is_well(self) -> bool:
        answer = self.asked(HELLO)
        return isinstance(answer, Update) and set(answer.sums) == WELCOME

    def held_mb(self) -> float:
        return float(self.process.memory_info().rss) / MB

    def peak_mb(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    folder = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    (folder / "policy.yaml").write_text(open_text(), encoding="utf-8")
    path, log = folder / "w.sock", folder / "log"
    script = Path(__file__).parents[1].joinpath("support", "guarded_worker.py")
    with (
        log.open("wb") as out,
        subprocess.Popen([sys.executable, script, folder, path], stdout=out, stderr=out) as child,
    ):
        end = time.monotonic() + 60
        while not path.is_socket():
            assert child.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end
            time.sleep(0.05)
        made = Worker(folder, path, psutil.Process(child.pid), log)
        assert made.is_well()
        yield made
        child.terminate()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _lives(worker: Worker) -> Iterator[None]:
    """After every attack the worker is the same process, answers, and holds hardly more files and memory."""
    before, files = worker.held_mb(), worker.process.num_fds()
    yield
    assert worker.is_well(), worker.log.read_text(encoding="utf-8")[-2000:]
    assert worker.process.num_fds() <= files + 1  # the last connection may be about to close
    assert worker.held_mb() < before + 100
    told = worker.log.read_bytes()
    assert b"Traceback" not in told
    assert not any(sample.key.encode() in told for sample in lesions(6))
    assert all(line.isprintable() for line in told.decode().splitlines())


def mutated(raw: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, removed, doubled or exchanged."""
    data = bytearray(raw)
    for _ in range(chance.randrange(1, 6)):
        place, length = chance.randrange(len(data)), chance.randrange(1, 40)
        kind = chance.randrange(4)
        if kind == 0:
            data[place] = chance.randrange(256)
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = data[place : place + length]
        else:
            data[place : place + length] = chance.randbytes(length)
        if not data:
            return b""
    return bytes(data)


def some_or_thousands(some: int, thousands: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("count", [some, pytest.param(thousands, marks=pytest.mark.slow)])


@some_or_thousands(150, 5000)
def test_mutated_messages_get_refusals_or_the_answer_to_what_they_became(worker: Worker, count: int) -> None:
    chance = random.Random(11)
    train = to_bytes(task("train", ("fusion/D",), recipe(), rule=LocalRule(epochs=1)))
    hello, before = to_bytes(HELLO), worker.held_mb()
    refused = 0
    for number in range(count):
        answer = worker.asked(mutated(hello if number % 3 else train, chance))
        refused += isinstance(answer, Refusal)
        if isinstance(answer, Update):
            assert set(answer.sums) <= WELCOME
    assert refused > 0.6 * count
    assert worker.held_mb() < before + 50
    assert verify(worker.folder / "records").ok


@some_or_thousands(150, 5000)
def test_streams_that_are_no_frames(worker: Worker, count: int) -> None:
    chance = random.Random(12)
    frame = header(8) + b"whatever"
    for number in range(count):
        raw = chance.randbytes(chance.randrange(0, 64)) if number % 2 else mutated(frame, chance)
        came = worker.sent(raw)
        if came:
            assert isinstance(decode(came), Refusal)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (
            header(8, FRAMING + 1) + b"whatever",
            f"framing {FRAMING}, the other side by version {FRAMING + 1}, kind 0: install",
        ),
        (struct.pack("<Q", 8) + b"whatever", "no framing of ours: install the same version of fedceus for both"),
        (header(33 * MB), "at most 33554432 bytes, this one claims 34603008"),
        (header((1 << 64) - 1), "this one claims 18446744073709551615"),
        (b"CEUS" + struct.pack("<HHQ", FRAMING, 7, 8), "install the same version"),
    ],
    ids=["another version", "framing of before", "too long", "absurdly long", "another kind"],
)
def test_a_frame_that_breaks_a_rule_is_refused_by_it(worker: Worker, raw: bytes, told: str) -> None:
    answer = decode(worker.sent(raw))
    assert isinstance(answer, Refusal)
    assert told in answer.reason
    assert worker.is_well()
    assert told in worker.log.read_text(encoding="utf-8")


def test_a_worker_of_another_version_is_told_by_the_courier_with_the_remedy() -> None:
    with tempfile.TemporaryDirectory(prefix="ceus-test-") as folder:
        path = Path(folder) / "w.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(path))
            server.listen()
            server.settimeout(5)
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with client:
                client.connect(str(path))
                taken = server.accept()[0]
                with taken:
                    taken.sendall(header(2, FRAMING + 1) + b"ok")
                    with pytest.raises(FrameError, match="install the same version of fedceus for both"):
                        receive_frame(client, time.monotonic() + 5)


def test_half_frames_and_claims_cost_nothing(worker: Worker) -> None:
    before = worker.held_mb()
    for _ in range(50):
        assert worker.sent(header(32 * MB) + b"x" * 1000) == b""
    assert worker.held_mb() < before + 10


def test_a_slow_drip_is_dropped_and_others_are_answered(worker: Worker) -> None:
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(worker.path))
        connection.sendall(header(1000))
        with suppress(BrokenPipeError):
            while time.monotonic() < begun + 10:
                connection.sendall(b".")  # each well within the time to wait for a piece, all of them not within it
                time.sleep(0.1)
    assert time.monotonic() - begun < 6
    assert worker.is_well()


def test_a_flood_of_connections_that_say_nothing(worker: Worker) -> None:
    """Those that are still open cost the time to wait for a piece, those that left cost nothing."""
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(400)]
        for connection in connections:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.connect(str(worker.path))
        for connection in connections[5:]:
            connection.close()
        begun = time.monotonic()
        assert worker.is_well()
        assert time.monotonic() - begun < 5


def forged(head: dict[str, Any] | bytes, tail: bytes = b"") -> bytes:
    raw = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(raw).to_bytes(8, "little") + raw + tail


def with_entry(**entry: Any) -> bytes:
    """A hello with one tensor of its own."""
    raw = to_bytes(HELLO)
    size = int.from_bytes(raw[:8], "little")
    return forged(
        {**json.loads(raw[8 : 8 + size]), "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **entry}}
    )


ABSURD = {
    "no memory": with_entry(shape=[0, 1 << 40, 1 << 40], data_offsets=[0, 0]),
    "infinite": with_entry(shape=[float("inf")]),
    "long number": with_entry(shape=[10**4000]),
    "negative place": with_entry(data_offsets=[-4, 0]),
    "many sides": with_entry(shape=[1] * 100_000),
    "million keys": forged(b"{" + b",".join(b'"%d":[]' % number for number in range(1_000_000)) + b"}"),
    "many keys": forged(b"{" + b",".join(b'"%d":[]' % number for number in range(300_000)) + b"}"),
    "deep": forged(b'{"a":' * 600_000),
    "deep body": forged({"__metadata__": {"type": "Task", "protocol": "1", "body": "[" * 60_000}}),
    "half a character": forged(b'{"__metadata__": {"type": "Task", "protocol": "1", "body": "\\ud800"}}'),
    "type is a list": forged({"__metadata__": {"type": [], "protocol": "1"}}),
    "name of escapes": with_entry(dtype="\x1b[2J\nworker of site-01: all is well"),
    "update": to_bytes(Update("site-01", {"x": torch.zeros(4)}, 1.0)),
    "all there is": bytes(31 * MB),
}


@pytest.mark.parametrize("raw", ABSURD.values(), ids=ABSURD.keys())
def test_absurd_messages_are_refused_in_bounded_memory(worker: Worker, raw: bytes) -> None:
    answer = worker.asked(raw)
    assert isinstance(answer, Refusal)
    assert len(answer.reason) <= 300


def huge(**changes: Any) -> Task:
    return task("train", ("disease/HCC",), recipe=replace(recipe(), architecture=Architecture(**changes)))


def of_width(width: int) -> bytes:
    """A task whose net has a width that no Architecture takes."""
    return to_bytes(huge()).replace(b'width\\":64', b'width\\":%d' % width)


NUMBERS: dict[str, Callable[[], Task | bytes]] = {
    "wide net": lambda: huge(width=1 << 14),
    "wider net than numbers go": lambda: huge(width=1 << 40),
    "deep memory": lambda: huge(hidden=1 << 20),
    "no width": lambda: of_width(0),
    "negative width": lambda: of_width(-4),
    "width that oneDNN crashes on": lambda: of_width(4),
    "fusion": lambda: task("train", ("fusion/D",), recipe=replace(recipe(), fusion_hidden=1 << 30)),
    "epochs": lambda: task("train", ("disease/HCC",), rule=LocalRule(epochs=1 << 30)),
    "replicates": lambda: replace(task("evaluate", ("disease/HCC",)), replicates=(1 << 31) - 1),
    "every net a hundred times": lambda: replace(task("train", ("disease/HCC",)), nets=("disease/HCC",) * 100),
    "path for a net": lambda: replace(task("train", ("disease/HCC",)), nets=("../../../etc/passwd",)),
    "path for a stage": lambda: replace(task("train", ("disease/HCC",), stage="../../x"), inputs={}),
    "odd weights": lambda: replace(task("train", ("disease/HCC",)), inputs={"disease/HCC|w": torch.zeros(3)}),
    "protocol of many numbers": lambda: replace(HELLO, inputs={"protocol": torch.zeros(7)}),
    "another protocol": lambda: replace(HELLO, inputs={"protocol": torch.tensor(99)}),
}


@pytest.mark.parametrize("make", NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_beyond_reason_are_refused_before_they_cost(worker: Worker, make: Callable[[], Task | bytes]) -> None:
    before, begun = worker.peak_mb(), time.monotonic()
    answer = worker.asked(make())
    assert isinstance(answer, Refusal)
    assert time.monotonic() - begun < 10
    assert worker.peak_mb() < before + 200


def test_messages_of_full_size_leave_no_memory_behind(worker: Worker) -> None:
    big = replace(task("train", ("disease/HCC",)), inputs={"disease/HCC|x": torch.zeros(7 * MB)})
    parts = b"".join(encode(big))
    for _ in range(3):
        assert isinstance(worker.asked(parts), Refusal)
    held = worker.held_mb()
    for _ in range(10):
        worker.asked(parts)
    assert worker.held_mb() < held + 40


@pytest.mark.parametrize("told", ["a bundle that\nnobody approved", "x" * 100_000, "\x1b[2J"])
def test_what_the_courier_refused_itself_is_written_down_and_is_no_way_in(worker: Worker, told: str) -> None:
    notify(worker.path, told, 5.0)
    last = list(entries(worker.folder / "records"))[-1]
    assert (last["kind"], last["code"]) == ("refusal", "policy")
    assert last["reason"].startswith("the courier refused: ")
    assert last["reason"].isprintable()
    assert len(last["reason"]) < 4100


def test_a_courier_that_leaves_before_its_answer(worker: Worker) -> None:
    data = to_bytes(HELLO)
    for _ in range(50):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(worker.path))
            connection.sendall(header(len(data)) + data)


def test_a_handler_that_is_asked_in_any_order_answers_each_alike(worker: Worker) -> None:
    """Rounds of the past and of the future, before any hello: the same task, the same answer."""
    chance, asked = random.Random(13), [replace(HELLO, round=number) for number in (9, 0, 5, 5, 1)]

    def answer(message: Task) -> bytes:
        """All of it but the mark of the audit, which grows."""
        given = worker.asked(message)
        assert isinstance(given, Update)
        return to_bytes(replace(given, audit=None))

    first = [answer(message) for message in asked]
    order = list(range(len(asked)))
    chance.shuffle(order)
    assert [answer(asked[place]) for place in order] == [first[place] for place in order]
    with pytest.raises(ExpectedError):
        ask(worker.folder / "no.sock", b"", 1.0)
