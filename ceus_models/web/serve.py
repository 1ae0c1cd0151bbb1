"""Opens a port and serves an application on it with uvicorn."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.json_logs import log_as_json

_MOST_CONNECTIONS = 64


def listening(host: str, port: int) -> socket.socket:
    """An open port. Raises ExpectedError where it is taken, or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ExpectedError(f"port {port} of {host} cannot be opened ({error.strerror}); give another --port") from None


def url_of(opened: socket.socket, secure: bool) -> str:
    """Where a browser on this machine finds it."""
    host, port = opened.getsockname()[:2]
    return f"http{'s' * secure}://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(app: ASGIApp, opened: socket.socket, certificate: Path | None = None, key: Path | None = None) -> None:
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
        http="h11",
        loop="asyncio",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=5,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    uvicorn.Server(config).run(sockets=[opened])
