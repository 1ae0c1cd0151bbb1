"""The courier's way to the worker: one request and one answer over a Unix socket.

The courier has the network and no data, so this file knows bytes only and imports neither torch nor anything that
reads a hospital's files. Both directions are framed alike: 8 bytes of length (little endian), then the message.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ceus_models.failures import ExpectedError

MAX_MESSAGE_BYTES = 4 << 30
"""No message is larger: sixteen nets of 134 MB with room to spare."""
Buffer = bytes | bytearray | memoryview
_LENGTH_BYTES = 8
_PIECE_BYTES = 1 << 20


class WorkerUnreachableError(ExpectedError):
    """Nothing listens on the socket, or the worker hung up in the middle of an answer."""


class WorkerTooSlowError(ExpectedError):
    """The worker gave no full answer within the time of the message."""


class FrameError(ExpectedError):
    """The other side does not keep to the framing; the text says which rule it broke."""


def ask(socket_path: Path, data: bytes, timeout: float) -> bytes:
    """The worker's answer to `data`, within `timeout` seconds in all.

    Raises WorkerUnreachableError, WorkerTooSlowError or FrameError (all are ExpectedError).
    """
    end = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(max(timeout, 0.001))
            connection.connect(str(socket_path))
            with suppress(ConnectionError):  # a worker that refuses a frame answers before it hangs up
                send_frame(connection, [data], end)
            return bytes(receive_frame(connection, end))
        except TimeoutError:
            raise WorkerTooSlowError(f"the worker gave no answer within {timeout:.0f} s") from None
        except OSError:
            raise WorkerUnreachableError("the worker cannot be reached: start it again, or read its log") from None


def send_frame(connection: socket.socket, buffers: Sequence[Buffer], end: float) -> None:
    """Write `buffers` as one frame before the monotonic time `end`. Raises FrameError if it is too long, or OSError."""
    length = sum(map(len, buffers))
    if length > MAX_MESSAGE_BYTES:
        raise FrameError(f"a message has at most {MAX_MESSAGE_BYTES} bytes, this one {length}")
    for part in (length.to_bytes(_LENGTH_BYTES, "little"), *buffers):
        _bound(connection, end)
        connection.sendall(part)


def receive_frame(connection: socket.socket, end: float, limit: int = MAX_MESSAGE_BYTES) -> bytearray:
    """Read one frame before the monotonic time `end`.

    Raises FrameError for a length above `limit`, TimeoutError, or ConnectionError if the other side hangs up.
    """
    length = int.from_bytes(_receive(connection, _LENGTH_BYTES, end), "little")
    if length > limit:
        raise FrameError(f"a message has at most {limit} bytes, this one claims {length}")
    return _receive(connection, length, end)


def _receive(connection: socket.socket, length: int, end: float) -> bytearray:
    """Exactly `length` bytes; the buffer grows with what arrives, not with what is claimed."""
    data = bytearray()
    while len(data) < length:
        _bound(connection, end)
        piece = connection.recv(min(_PIECE_BYTES, length - len(data)))
        if not piece:
            raise ConnectionError("the other side hung up")
        data += piece
    return data


def _bound(connection: socket.socket, end: float) -> None:
    """The whole exchange has one deadline, so that a drop now and then cannot hold it open."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
