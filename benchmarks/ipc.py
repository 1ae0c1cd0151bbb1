"""What a message costs between courier and worker: our framing beside gRPC over the same kind of Unix socket.

    python -m benchmarks.ipc [--repetitions 15] [--out FILE]

A worker process of each kind reads the task and answers with its tensors; a courier process of each kind forks a child
a message, as the runner does. Both kinds in turn. Small: 100 messages of 1 kB. Large: one net of 134 MB, both ways.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psutil
import torch

from benchmarks.ipc_courier import OPTIONS, SERVICE, WAYS, chunks
from benchmarks.measuring import Times, arguments, busy_ratio, publish, quiet, ratio
from benchmarks.real_federation import ROOT, wait
from ceus_models.protocol.encoding import encode, to_bytes
from ceus_models.protocol.messages import Task, Update
from client.courier.ipc import MESSAGE, Frame
from client.worker.process import Limits, _answer, _read, serve

SMALL, LARGE = 250, 33_500_000
"""Numbers of four bytes each in a message."""


class Echo:
    """A site whose answer is what it was sent."""

    name = "site-01"

    def handle(self, task: Task) -> Update:
        return Update(self.name, dict(task.inputs), 1.0)


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """One task at a time; the rest waits, as in the queue of our socket."""

    def __init__(self) -> None:
        self._one = threading.Lock()

    def service(self, details: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(self.answer) if details.method == f"/{SERVICE}/Answer" else None

    def answer(self, pieces: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        with self._one:
            data = bytearray()
            for piece in pieces:
                data += piece
            message, _asked = _read(Frame(MESSAGE, data), Echo())
            for buffer in encode(_answer(message, Echo(), lambda _: None)):
                yield from chunks(buffer)


def serve_grpc(socket_path: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(4), [Handlers()], options=OPTIONS, maximum_concurrent_rpcs=64)
    os.umask(0o117)
    server.add_insecure_port(f"unix:{socket_path}")
    server.start()
    server.wait_for_termination()


def work(way: str, socket_path: Path) -> None:
    """A worker process."""
    if way == "gRPC":
        serve_grpc(socket_path)
    serve(socket_path, Echo(), Limits(burst=1_000_000), lambda _: None)


class Pair:
    """A worker and a courier of one kind."""

    def __init__(self, way: str, scratch: Path) -> None:
        path = scratch / f"{way}.sock"
        self.worker = subprocess.Popen([sys.executable, "-m", "benchmarks.ipc", way, str(path)], cwd=ROOT)
        wait(path.is_socket, 120, "the worker")
        command = [sys.executable, "-m", "benchmarks.ipc_courier", str(path), way]
        self.courier = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.times = {"small": Times(), "large": Times()}
        self.memory: list[tuple[float, float]] = []

    def ask(self, kind: str, message: Path, count: int) -> None:
        assert self.courier.stdin
        assert self.courier.stdout
        Path(f"/proc/{self.worker.pid}/clear_refs").write_text("5")  # the largest so far is forgotten
        busy = self._busy()
        print(message, count, file=self.courier.stdin, flush=True)
        found = json.loads(self.courier.stdout.readline())
        self.times[kind].seconds.append(found["seconds"] / count)
        self.times[kind].busy.append((found["busy"] + self._busy() - busy) / count)
        if kind == "large":
            lines = Path(f"/proc/{self.worker.pid}/status").read_text().splitlines()
            most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
            self.memory.append((most, found["child_mb"]))

    def _busy(self) -> float:
        return sum(psutil.Process(self.worker.pid).cpu_times()[:2])

    def end(self) -> None:
        for process in (self.courier, self.worker):
            process.kill()
            process.wait()


HEAD = ("way", "message", "ms", "processor ms, both sides", "most MB, worker", "most MB, courier's child")


def main() -> None:
    """Both in turn."""
    given = arguments(__doc__, repetitions=15)
    quiet()
    with tempfile.TemporaryDirectory(prefix="ceus-ipc-") as folder:
        scratch = Path(folder)
        for name, count in (("small", SMALL), ("large", LARGE)):
            task = Task("train", "study", 1, "submodels", 1, inputs={"net|w": torch.zeros(count)})
            (scratch / name).write_bytes(to_bytes(task))
        pairs = {way: Pair(way, scratch) for way in WAYS}
        try:
            for number in range(given.repetitions + 1):
                for pair in pairs.values():
                    pair.ask("small", scratch / "small", 100)
                    pair.ask("large", scratch / "large", 1)
                if not number:
                    for pair in pairs.values():
                        pair.times, pair.memory = {"small": Times(), "large": Times()}, []
        finally:
            for pair in pairs.values():
                pair.end()
    rows, title = [], []
    for kind in ("small", "large"):
        ours, theirs = (pairs[way].times[kind] for way in WAYS)
        title.append(f"{kind}: gRPC over framing {ratio(theirs, ours):.2f}, processor {busy_ratio(theirs, ours):.2f}")
        for way, pair in pairs.items():
            times = pair.times[kind]
            busy = sorted(times.busy)[len(times.busy) // 2]
            worker, child = (max(column) for column in zip(*pair.memory, strict=True))
            memory = (f"{worker:.0f}", f"{child:.0f}") if kind == "large" else ("", "")
            rows.append((way, kind, f"{1000 * times.median:.1f}", f"{1000 * busy:.1f}", *memory))
    publish("; ".join(title), HEAD, rows, given.out)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in WAYS:
        torch.set_num_threads(1)
        work(sys.argv[1], Path(sys.argv[2]))
    main()
