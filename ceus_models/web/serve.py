"""Opens a port and serves an application on it with uvicorn."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.json_logs import log_as_json
from ceus_models.web.bounded_connection import BoundedConnection

_MOST_CONNECTIONS = 64
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # a name's address of a family that this machine does not use


@contextmanager
def listening(host: str, port: int) -> Iterator[Sequence[socket.socket]]:
    """Open a port at all addresses of `host`, IPv4 and IPv6; `::` is every address of both.

    Raises:
        ExpectedError: the port is taken, or no address is this machine's.
    """
    with ExitStack() as stack:
        opened = _open_all(host, port)
        for one in opened:
            stack.enter_context(one)
        yield opened


def _open_all(host: str, port: int) -> list[socket.socket]:
    opened: list[socket.socket] = []
    absent: list[OSError] = []
    for family, address in _resolve(host, port):
        try:
            opened.append(_open(family, address, opened[0].getsockname()[1] if opened else port))
        except OSError as error:
            absent.append(error)
    fatal = [error for error in absent if error.errno not in _ABSENT or not opened]
    if fatal:
        for one in opened:
            one.close()
        raise _refuse(host, port, fatal[0])
    return opened


def _resolve(host: str, port: int) -> list[tuple[int, str]]:
    """Family and address of each, without repetition, IPv4 first."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _refuse(host, port, error) from None
    return sorted(
        {(int(family), str(place[0])) for family, *_, place in found}, key=lambda one: one[0] != socket.AF_INET
    )


def _open(family: int, address: str, port: int) -> socket.socket:
    both = family == socket.AF_INET6 and address == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((address, port), family=family, dualstack_ipv6=both)


def _refuse(host: str, port: int, error: OSError) -> ExpectedError:
    return ExpectedError(f"port {port} of {host} cannot be opened ({error.strerror}); give another --port or --host")


def url_of(opened: Sequence[socket.socket], secure: bool) -> str:
    """Where a browser on this machine finds it."""
    host, port = opened[0].getsockname()[:2]
    return f"http{'s' * secure}://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(
    app: ASGIApp, opened: Sequence[socket.socket], certificate: Path | None = None, key: Path | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises ExpectedError for a certificate that cannot be used."""
    if certificate is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        except OSError as error:
            raise ExpectedError(f"certificate and key cannot be used ({error}); give a PEM of each") from None
    log_as_json("uvicorn")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http=BoundedConnection,
        loop="asyncio",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=5,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    uvicorn.Server(config).run(sockets=list(opened))
