"""One person's way into the site's console: a URL that works once, then a cookie of this browser."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from ceus_models.runtime.supervisor import EventLog
from ceus_models.web.forms import is_asked_here, is_same

_BYTES = 32
_PAUSE_S = 0.5


def _new() -> str:
    return secrets.token_urlsafe(_BYTES)


@dataclass
class Session:
    """A `ceus_models.web.guard.Gate`. account: who started the console, and so who asks · port: in the
    cookie's name, since browsers send a cookie to every port of a machine · token: of the URL, "" once it was used.
    """

    account: str
    port: int
    told: EventLog
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    token: str = field(default_factory=_new, init=False, repr=False)
    _cookie: str = field(default_factory=_new, init=False, repr=False)
    form: str = field(default_factory=_new, init=False, repr=False)

    @property
    def name(self) -> str:
        """Of the cookie."""
        return f"ceus-site-{self.port}"

    async def __call__(self, request: Request) -> Response | None:
        """Lets in who has the cookie; who has the token gets it."""
        if is_same(request.cookies.get(self.name, ""), self._cookie):
            request.scope["who"] = self.account
            return None
        given = request.query_params.get("token", "")
        if request.method == "GET" and request.url.path == "/" and self.token and is_same(given, self.token):
            self.token = ""
            self.told({"event": "signed in", "who": self.account})
            response = RedirectResponse("/", 303)
            response.set_cookie(self.name, self._cookie, httponly=True, samesite="strict", path="/")
            return response
        if given:
            self.told({"event": "refused", "page": "/", "said": "a token that is wrong, or was used already"})
            await self.pause(_PAUSE_S)
        return PlainTextResponse(
            "open the URL that `ceus-site console` printed; it works once, in one browser. For another one, end the "
            "command and start it again",
            401,
        )

    def is_asked_here(self, request: Request, form: str) -> bool:
        """Whether a form was sent by a page of ours: its hidden word is this session's, and the browser says so too."""
        return is_asked_here(request, form, self.form)
