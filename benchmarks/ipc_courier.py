"""The courier's half of `benchmarks.ipc`: asks by our framing or by gRPC in a forked child, as the runner does.

SOCKET FRAMING|GRPC: reads a file's name and a count a line, asks with the file's bytes that many times, and prints the
seconds, the processor's seconds of itself and its children, and its largest child. Without torch, as the runner.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

import client.courier.runner  # noqa: F401  # what the child of a real runner inherits; it imports grpc
from client.courier.forked_task import Reply, run_in_child
from client.courier.ipc import WorkerTooSlowError, WorkerUnreachableError, ask

SERVICE, CHUNK_BYTES = "fedceus.Worker", 1 << 20
OPTIONS = [
    ("grpc.max_receive_message_length", 2 * CHUNK_BYTES),
    ("grpc.max_send_message_length", 2 * CHUNK_BYTES),
    ("grpc.http2.max_frame_size", (1 << 24) - 1),  # both make large messages faster
    ("grpc.optimization_target", "throughput"),
]
"""Of either side."""
_FAULTS = {grpc.StatusCode.DEADLINE_EXCEEDED: WorkerTooSlowError, grpc.StatusCode.UNAVAILABLE: WorkerUnreachableError}


def chunks(data: bytes | bytearray | memoryview) -> Iterator[bytes]:
    """One after the other."""
    view = memoryview(data).cast("B")
    yield from (bytes(view[place : place + CHUNK_BYTES]) for place in range(0, max(len(view), 1), CHUNK_BYTES))


def ask_by_grpc(socket_path: Path, data: bytes, timeout: float, patience: float = 0.0) -> bytes:
    """As `client.courier.ipc.ask`."""
    with grpc.insecure_channel(f"unix:{socket_path}", OPTIONS) as channel:
        call = channel.stream_stream(f"/{SERVICE}/Answer")
        try:
            return b"".join(call(chunks(data), timeout=timeout, wait_for_ready=patience > 0))
        except grpc.RpcError as error:
            raise _FAULTS.get(error.code(), WorkerUnreachableError)(str(error.code())) from None


WAYS: dict[str, Callable[[Path, bytes, float, float], bytes]] = {"framing": ask, "gRPC": ask_by_grpc}


def main(socket_path: Path, way: str) -> None:
    call = WAYS[way]
    for line in sys.stdin:
        name, count = line.split()
        data = Path(name).read_bytes()
        began, busy = time.perf_counter(), _busy_s()
        for _ in range(int(count)):
            child = run_in_child(lambda data=data: Reply(data=call(socket_path, data, 60.0, 60.0)))  # type: ignore[misc]
            answer = child.reply(60.0).data
            child.end()
        taken = {"seconds": time.perf_counter() - began, "busy": _busy_s() - busy, "bytes": len(answer)}
        del answer
        taken["child_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(json.dumps(taken), flush=True)


def _busy_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
