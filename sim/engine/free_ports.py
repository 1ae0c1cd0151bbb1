"""Ports of this machine that nothing listens on."""

from __future__ import annotations

import socket
from contextlib import ExitStack

_LOOPBACK = "127.0.0.1"


def find_free_ports(count: int) -> list[int]:
    """Free ports on loopback, all different; another program may take one before it is used."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind((_LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]
