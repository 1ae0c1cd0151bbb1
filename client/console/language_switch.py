"""The language of the console's pages: of a link in their heading, which a cookie keeps; no script is needed."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ceus_models.runtime.language.reader_language import find_language, speaking
from client.translation.language import CODES, load_language

COOKIE = "ceus_language"
ASKED = "lang"
"""Parameter of an address."""

Choice = tuple[str, str, str, bool]
"""Name of the language, address of the page in it, tag, and whether the page is in it now."""


class LanguageSwitch:
    """Stands before the console: each request is answered in the language that its browser asks for."""

    def __init__(self, app: ASGIApp) -> None:
        """app: the console. Without a choice its pages are in the language of the command that started it."""
        self._app, self._usual = app, find_language()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        asked = request.query_params.get(ASKED, "")
        code = asked if asked in CODES else request.cookies.get(COOKIE, "")

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start" and asked in CODES:
                MutableHeaders(scope=message).append(
                    "Set-Cookie", "; ".join((f"{COOKIE}={asked}", "Path=/", "SameSite=Strict", "HttpOnly"))
                )
            await send(message)

        with speaking(load_language(code) if code in CODES else self._usual):
            await self._app(scope, receive, keep)


def list_choices(path: str) -> Sequence[Choice]:
    """The languages of a page, for its heading. path: of the page; "" for one that a button led to, which has none."""
    now = find_language().tag
    tags = {code: load_language(code).tag for code in CODES}
    return tuple((name, f"{path or '/'}?{ASKED}={code}", tags[code], tags[code] == now) for code, name in CODES.items())
