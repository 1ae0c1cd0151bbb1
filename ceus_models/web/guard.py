"""What both consoles share: who may call by which name, strict headers, a log of what was read, and the templates.

No script runs, nothing is loaded from elsewhere, no browser keeps a page.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Collection
from importlib.resources import files
from math import ceil
from pathlib import Path
from typing import Any

import jinja2
import uvicorn
from markupsafe import Markup, escape
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ceus_models.runtime.errors import ExpectedError, stack_of
from ceus_models.runtime.humanize import size, span
from ceus_models.runtime.json_logs import log_as_json
from ceus_models.runtime.supervisor import Told

LOOPBACK = ("127.0.0.1", "localhost", "::1")
STYLE = "/style.css"
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer, whatever it is."""
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?")
_CODE = re.compile(r"`([^`]+)`")
_MOST_CONNECTIONS = 64
_LONGEST_PATH = 200

Gate = Callable[[Request], Awaitable[Response | None]]
"""Lets a request in (None) and writes into its scope who asks, as "who"; or answers it."""


class Guard:
    """Stands before a console: what another name than ours was called by, or nobody's call, does not reach it."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], gate: Gate, told: Told) -> None:
        """hosts: names and addresses in a URL of ours: against pages elsewhere that let their name point here."""
        self._app, self._gate, self._told = app, gate, told
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request, status = Request(scope, receive), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            refusal = self._misdirected(request) or await self._gate(request)
            await (refusal or self._app)(scope, receive, sent)
        except Exception as error:
            if status:
                raise  # half an answer cannot be mended
            await self._failed(request, error)(scope, receive, sent)
        if "who" in scope and (request.url.path != STYLE or status >= 400):
            who, path = str(scope["who"]), request.url.path[:_LONGEST_PATH]
            self._told({"event": "read", "who": who, "page": path, "method": request.method, "status": status})

    def _misdirected(self, request: Request) -> Response | None:
        match = _HOST.fullmatch(request.headers.get("host", ""))
        if match and (match[1] or match[2]).lower() in self._hosts:
            return None
        return PlainTextResponse("this console is not called by that name", 400)

    def _failed(self, request: Request, error: Exception) -> Response:
        """Its own words go to who has signed in only; of a bug nobody gets more than its kind."""
        if isinstance(error, ExpectedError):
            self._told({"event": "trouble", "said": str(error)})
            said = str(error) if "who" in request.scope else "the console cannot answer; its log says why"
            return PlainTextResponse(said, 503)
        self._told({"event": "bug", "type": type(error).__name__, "at_line": stack_of(error)[-1]})
        return PlainTextResponse("this is a bug; the console's log says where", 500)


class Pages:
    """The templates of a package over the frame that both consoles share. Whatever enters a page is escaped."""

    def __init__(self, package: str, **everywhere: object) -> None:
        """everywhere: what all pages know."""
        loader = jinja2.ChoiceLoader([jinja2.PackageLoader(name, "pages") for name in (package, "ceus_models.web")])
        self._made = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._made.filters.update(size=size, span=span, clock=clock, said=said)
        self._made.globals.update(everywhere)

    def page(self, name: str, **known: Any) -> Response:
        """One page as it is now."""
        return HTMLResponse(self._made.get_template(f"{name}.html").render(now=time.time(), **known))


def said(text: str) -> Markup:
    """A sentence of ours, with what stands in `backticks` as code; the rest of it may come from elsewhere."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def clock(at: float) -> str:
    """A moment (seconds since 1970) in this machine's time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def style(_: Request) -> Response:
    """The one stylesheet."""
    return Response(files("ceus_models.web").joinpath("pages/console.css").read_bytes(), media_type="text/css")


def turned(request: Request, count: int, size: int) -> tuple[int, int]:
    """The page of a long list that is asked for, within those that there are, and their number. size: lines a page."""
    pages = max(1, ceil(count / size))
    asked = request.query_params.get("page", "1")
    return min(max(1, int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 1), pages), pages


def as_json(document: object) -> Response:
    """For a machine."""
    return Response(json.dumps(document, indent=2, ensure_ascii=False), media_type="application/json")


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
