"""Unix sockets that a worker listens on: for owner and group, and never two workers on one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError

_MAX_PATH_BYTES = 100  # the kernel's own limit is 108
_OWNER_AND_GROUP = 0o117  # umask: the courier may be another user of the same group


def check_path(socket_path: Path) -> None:
    """Raise ExpectedError if the path is too long for a socket."""
    if len(os.fsencode(socket_path)) > _MAX_PATH_BYTES:
        raise ExpectedError(f"a socket's path has at most {_MAX_PATH_BYTES} bytes; choose a shorter one: {socket_path}")


def listen(socket_path: Path) -> socket.socket:
    """Open a Unix socket at `socket_path`. Raises ExpectedError if the path is too long, taken or not writable."""
    check_path(socket_path)
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
        probe.settimeout(2.0)
        try:
            probe.connect(str(socket_path))
        except (TimeoutError, BlockingIOError):
            return True  # its queue is full
        except OSError:
            return False
        return True
