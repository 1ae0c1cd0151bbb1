"""A site that dials an IPv6 address connects through the front door, by Flower's own SuperNode."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from real_coordinator import NGINX, founded, ports, start, started, wait

from ceus_models.runtime.liveness.heartbeat import Heartbeat
from server.federation.nginx_conf import has_ipv6

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(NGINX is None or not has_ipv6(), reason="needs nginx (Debian: nginx-light) and IPv6"),
]


def test_a_node_is_online_by_an_address_in_brackets(tmp_path: Path) -> None:
    made, front, superlink = founded(tmp_path, "[::1]")
    courier = made.joined(tmp_path / "s")
    with started(made, front, superlink, tmp_path) as coordinator, coordinator.control() as control:
        (runtime,) = ports(1)
        node = [sys.executable, "-m", "client.courier.supernode", "--courier", str(courier.folder)]
        start(coordinator.fleet, "node", [*node, "--socket", "/none", "--port", str(runtime)], tmp_path)
        wait(lambda: control.online() == {"site-01"}, 180, "the node")
        assert Heartbeat(courier.contact).last() is not None
