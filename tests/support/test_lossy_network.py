"""The line between namespaces delays, loses and refuses, as the tests that stand on it believe."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.support.lossy_network import Line, network, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs Linux, root, iproute2 and /dev/net/tun")

ECHO = """
import socket
with socket.create_server(("0.0.0.0", 7000)) as server:
    print("ready", flush=True)
    for _ in range(2):
        with server.accept()[0] as one:
            while data := one.recv(65536):
                one.sendall(data)
"""
ASK = """
import socket, sys, time
begun = time.monotonic()
with socket.create_connection((sys.argv[1], 7000), float(sys.argv[2])) as one:
    data = bytes(range(256)) * 800
    one.sendall(data[:1])
    assert one.recv(1) == data[:1]
    print(time.monotonic() - begun)
    got = b""
    for place in range(0, len(data), 4096):
        one.sendall(data[place : place + 4096])
        while len(got) < place + 4096:
            more = one.recv(65536)
            if not more:
                break
            got += more
    assert got == data
"""


def test_bytes_arrive_whole_and_late_and_some_packets_never() -> None:
    with network(["a", "b", "c"], Line(0.01, 0.05, only={"c": ["a"]})) as net:
        server = subprocess.Popen([*net.within("a"), sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            took = float(asked(net.within("b"), net.addresses["a"], 60.0))
            assert took >= 4 * 0.01, "two packets each way, for the connection and for the byte"
            asked(net.within("c"), net.addresses["a"], 60.0)
            with pytest.raises(subprocess.CalledProcessError):
                asked(net.within("c"), net.addresses["b"], 1.0)  # behind its firewall
        finally:
            server.kill()
            server.communicate()
    total = net.counts["carried"] + net.counts["lost"]
    assert total > 150
    assert 0.005 < net.counts["lost"] / total < 0.15
    assert net.counts["refused"] > 0


def asked(within: list[str], address: str, seconds: float) -> str:
    command = [*within, sys.executable, "-c", ASK, address, str(seconds)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_nothing_of_it_is_left() -> None:
    seen: list[bool] = []

    def fails() -> None:
        with network(["a"], Line(0.0, 0.0)) as net:
            seen.append(net.within("a")[-1] in listed())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen == [True]
    assert f"ceus-{os.getpid()}-" not in listed()


def test_what_a_killed_one_left_is_swept() -> None:
    script = (
        "import os; from tests.support.lossy_network import *\n"
        "with network(['x'], Line(0.0, 0.0)) as net:\n"
        "    print(net.within('x')[-1], flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    name = done.stdout.strip()
    assert name in listed()
    time.sleep(0.1)
    with network(["a"], Line(0.0, 0.0)):
        assert name not in listed()


def listed() -> str:
    return subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
