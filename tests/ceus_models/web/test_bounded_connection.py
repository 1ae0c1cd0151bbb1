"""Clients that stop in the middle of a request, or of an answer, never hold a console: a real server on a real port."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from made_federation import lab
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ceus_models.web.bounded_connection import BoundedConnection
from ceus_models.web.serve import listening, serve

MOST = 63
"""Connections beside the one that asks: with more of them none is let in."""
LARGE = b"x" * (6 << 20)


async def _answer(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())}")


async def _large(_: Request) -> Response:
    return Response(LARGE)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "request_s", 1.0)
    monkeypatch.setattr(BoundedConnection, "stalled_s", 1.0)


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, certificate: Path | None = None, key: Path | None = None) -> Iterator[int]:
    servers: list[uvicorn.Server] = []
    run = uvicorn.Server.run
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: (servers.append(self), run(self, sockets)))
    app = Starlette(routes=[Route("/", _answer, methods=["GET", "POST"]), Route("/large", _large)])
    with listening("127.0.0.1", 0) as opened:
        thread = threading.Thread(target=serve, args=(app, opened, certificate, key))
        thread.start()
        try:
            while not (servers and servers[0].started):
                time.sleep(0.02)
            yield opened[0].getsockname()[1]
        finally:
            servers[0].should_exit = True
            thread.join(30)


def wait_for_answer(url: str, seconds: float = 10.0, **how: object) -> float:
    """Seconds until the console answers others again."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            if httpx.get(url, trust_env=False, timeout=2.0, **how).status_code == 200:  # type: ignore[arg-type]
                return time.monotonic() - begun
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError("the console is held")


HALVES = {
    "nothing": b"",
    "half a line": b"GET / HT",
    "half the headers": b"GET / HTTP/1.1\r\nhost: a\r\n",
    "half a body": b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nabc",
    "a second half": b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HT",
}


@pytest.mark.parametrize("half", HALVES)
def test_clients_that_send_half_a_request_are_closed(monkeypatch: pytest.MonkeyPatch, half: str) -> None:
    with served(monkeypatch) as port, ExitStack() as stack:
        for _ in range(MOST):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5.0))
            client.sendall(HALVES[half])
        assert wait_for_answer(f"http://127.0.0.1:{port}/") < 8


def test_without_a_limit_they_would_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "request_s", 3600.0)
    with served(monkeypatch) as port, ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5.0))
        with pytest.raises(AssertionError, match="is held"):
            wait_for_answer(f"http://127.0.0.1:{port}/", 3.0)


def test_a_client_that_sends_a_byte_now_and_then_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch) as port, socket.create_connection(("127.0.0.1", port), 5.0) as client:
        begun = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - begun < 8:
                client.sendall(b"G")
                time.sleep(0.2)
        assert time.monotonic() - begun < 4


def test_clients_that_take_no_answer_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch) as port, ExitStack() as stack:
        for _ in range(MOST):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        assert wait_for_answer(f"http://127.0.0.1:{port}/", 30.0) < 30


def test_clients_that_begin_tls_and_stop_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = lab(tmp_path / "co").home
    trusted = ssl.create_default_context(cafile=str(home.ca))
    with served(monkeypatch, home.front, home.front_key) as port, ExitStack() as stack:
        for _ in range(MOST):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5.0))
            client.sendall(b"\x16\x03\x01\x02\x00")  # the first bytes of a handshake
        assert wait_for_answer(f"https://127.0.0.1:{port}/", verify=trusted) < 8


def test_a_whole_request_and_a_slow_download_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is that of an answer which does not move; a connection is used again within the time."""
    with served(monkeypatch) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.post("/", content=b"abc").text == "3"
        time.sleep(0.5)
        assert client.post("/", content=b"abcd").text == "4"
        count = 0
        with client.stream("GET", "/large") as answer:
            for part in answer.iter_bytes(1 << 18):
                count += len(part)
                time.sleep(0.15)
        assert count == len(LARGE)
