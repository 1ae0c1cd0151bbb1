"""The framing between courier and worker: one request and one answer over a Unix socket.

The courier has the network and no data, so this file knows bytes only and imports neither torch nor anything that
reads a hospital's files. Both directions are framed alike, little endian: 4 bytes "CEUS", 2 bytes of version, 2 bytes
of kind (0 a message in the wire format, 1 a notice in UTF-8), 8 bytes of length, then the content.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ceus_models.runtime.errors import ExpectedError

MAX_MESSAGE_BYTES = 4 << 30
"""No message is larger: sixteen nets of 134 MB with room to spare."""
FRAMING = 1
"""Version of the framing. Raised whenever the two halves of a site would misunderstand each other."""
Buffer = bytes | bytearray | memoryview
MESSAGE, NOTICE = 0, 1
_MAGIC = b"CEUS"
_HEADER = struct.Struct("<4sHHQ")
_CHUNK_BYTES = 1 << 20
_QUEUE_PAUSE_S, _START_PAUSE_S = 0.05, 0.2
_MAX_STATUS_BYTES = 4096


class WorkerUnreachableError(ExpectedError):
    """Nothing listens on the socket, or the worker hung up in the middle of an answer."""


class WorkerTooSlowError(ExpectedError):
    """The worker gave no full answer within the time of the message."""


class FrameError(ExpectedError):
    """The other side does not keep to the framing; the text says which rule it broke."""


class Frame(NamedTuple):
    """What came in one frame. kind: MESSAGE or NOTICE."""

    kind: int
    data: bytearray


def ask(socket_path: Path, data: bytes, timeout: float, patience: float = 0.0) -> bytes:
    """Send `data` to the worker and return its answer.

    Args:
        socket_path: Where the worker listens.
        data: A task in the wire format.
        timeout: Seconds for the whole exchange.
        patience: Seconds to wait for a worker that does not listen, because its service restarts it.

    Raises:
        WorkerUnreachableError, WorkerTooSlowError, FrameError: All are ExpectedError.
    """
    return _exchange(socket_path, MESSAGE, data, timeout, patience)


def notify(socket_path: Path, reason: str, timeout: float) -> None:
    """Have the worker audit what the courier refused, since only the worker writes the audit. Raises as `ask`."""
    _exchange(socket_path, NOTICE, reason.encode(), timeout)


def read_status(socket_path: Path, timeout: float = 5.0) -> dict[str, Any]:
    """Read the worker's status from its status socket. Raises WorkerUnreachableError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(socket_path))
            with connection.makefile("rb") as file:
                status: dict[str, Any] = json.loads(file.readline(_MAX_STATUS_BYTES))
        return status
    except (OSError, ValueError):
        raise WorkerUnreachableError(
            "the worker reports no status; start it with `ceus-site serve FOLDER`, or read its log"
        ) from None


def _exchange(socket_path: Path, kind: int, data: bytes, timeout: float, patience: float = 0.0) -> bytes:
    end = time.monotonic() + timeout
    patient_until = min(end, time.monotonic() + patience)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, socket_path, end, patient_until)
            with suppress(ConnectionError):  # a worker that refuses a frame answers before it hangs up
                send_frame(connection, [data], end, kind)
            return bytes(receive_frame(connection, end).data)
        except TimeoutError:
            raise WorkerTooSlowError(f"the worker gave no answer within {timeout:.0f} s") from None
        except OSError:
            raise WorkerUnreachableError("the worker cannot be reached: start it again, or read its log") from None


def _connect(connection: socket.socket, socket_path: Path, end: float, patient_until: float) -> None:
    """Retry while the worker's queue is full (a Unix socket with a timeout fails at once), or nobody listens yet."""
    while True:
        _set_timeout(connection, end)
        try:
            return connection.connect(str(socket_path))
        except BlockingIOError:
            time.sleep(_QUEUE_PAUSE_S)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() + _START_PAUSE_S > patient_until:
                raise
            time.sleep(_START_PAUSE_S)


def header(length: int, version: int = FRAMING, kind: int = MESSAGE) -> bytes:
    """Pack the header of a frame with `length` bytes of content."""
    return _HEADER.pack(_MAGIC, version, kind, length)


def send_frame(
    connection: socket.socket, buffers: Sequence[Buffer], end: float = math.inf, kind: int = MESSAGE
) -> None:
    """Write `buffers` as one frame before the monotonic time `end`. Raises FrameError if it is too long, or OSError."""
    length = sum(map(len, buffers))
    if length > MAX_MESSAGE_BYTES:
        raise FrameError(f"a message has at most {MAX_MESSAGE_BYTES} bytes, this one {length}")
    for part in (header(length, kind=kind), *buffers):
        _set_timeout(connection, end)
        connection.sendall(part)


def receive_frame(
    connection: socket.socket, end: float, limit: int = MAX_MESSAGE_BYTES, idle_s: float = math.inf
) -> Frame:
    """Read one frame.

    Args:
        connection: Of either side.
        end: Deadline for the whole frame, in monotonic time.
        limit: Largest content in bytes.
        idle_s: Longest wait for the next bytes.

    Raises:
        FrameError: Another framing, or a length above `limit`.
        TimeoutError: Too slow.
        ConnectionError: The other side hung up.
    """
    magic, version, kind, length = _HEADER.unpack(_receive(connection, _HEADER.size, end, idle_s))
    if magic != _MAGIC or version != FRAMING or kind not in (MESSAGE, NOTICE):
        spoken = f"version {version}, kind {kind}" if magic == _MAGIC else "no framing of ours"
        raise FrameError(
            f"courier and worker speak by framing {FRAMING}, the other side by {spoken}: install the same version of "
            "fedceus for both, and start both again"
        )
    if length > limit:
        raise FrameError(f"a message has at most {limit} bytes, this one claims {length}")
    return Frame(kind, _receive(connection, length, end, idle_s))


def _receive(connection: socket.socket, length: int, end: float, idle_s: float) -> bytearray:
    """Read exactly `length` bytes; the buffer grows with what arrives, not with what is claimed."""
    data = bytearray()
    while len(data) < length:
        _set_timeout(connection, end, idle_s)
        chunk = connection.recv(min(_CHUNK_BYTES, length - len(data)))
        if not chunk:
            raise ConnectionError("the other side hung up")
        data += chunk
    return data


def _set_timeout(connection: socket.socket, end: float, idle_s: float = math.inf) -> None:
    """Bound the next call by the deadline of the whole exchange, so that a slow drip cannot hold it open."""
    seconds = min(end - time.monotonic(), idle_s)
    if seconds <= 0:
        raise TimeoutError
    connection.settimeout(None if seconds == math.inf else seconds)
