"""Stands before both consoles: who may call by which name, strict headers, a log of what was read.

No script runs but on pages that say so themselves, nothing is loaded from elsewhere, no browser keeps a page.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ceus_models.runtime.errors import ExpectedError, list_calls
from ceus_models.runtime.supervisor import EventLog
from ceus_models.web.responses import STYLE

LOOPBACK = ("127.0.0.1", "localhost", "::1")
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
"""Of every answer that says nothing else itself."""
PART = "part"
"""Key of a request's scope: it asks for a part of a page, which is not worth a line of the log unless it fails."""
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?")
_LONGEST_PATH = 200

Gate = Callable[[Request], Awaitable[Response | None]]
"""Lets a request in (None) and writes into its scope who asks, as "who"; or answers it."""


class Guard:
    """Stands before a console: what another name than ours was called by, or nobody's call, does not reach it."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], gate: Gate, told: EventLog) -> None:
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
        is_part = request.url.path == STYLE or PART in scope
        if "who" in scope and (not is_part or status >= 400):
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
        self._told({"event": "bug", "type": type(error).__name__, "at_line": list_calls(error)[-1]})
        return PlainTextResponse("this is a bug; the console's log says where", 500)
