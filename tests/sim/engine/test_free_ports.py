"""Free ports can be listened on, and are all different."""

from __future__ import annotations

import socket

from sim.engine.free_ports import find_free_ports


def test_ports_are_free_and_different() -> None:
    found = find_free_ports(20)
    assert len(set(found)) == 20
    for port in found:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))
