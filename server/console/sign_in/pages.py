"""The pages for signing in and out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ceus_models.web.forms import is_asked_here, is_from_here, read_form
from ceus_models.web.responses import page
from server.console.sign_in.gate import SIGN_IN, START, ConsoleGate
from server.console.sign_in.openid import RETURN, OpenIdError
from server.console.sign_in.second_factor import check_code, has_factor
from server.console.sign_in.sessions import Visitor, get_form_word
from server.console.sign_in.users import Person

SIGN_OUT = "/sign-out"
_LONGEST_FORM = 4096
_NO_CODE = "give the code of your authenticator too"
_WRONG = "name, token or code is wrong; a token is told once, by `ceus-coordinator people`"


@dataclass(frozen=True)
class SignInPages:
    """whose: names the federation at the head of the page."""

    gate: ConsoleGate
    whose: Callable[[], str]
    now: Callable[[], float] = time.time

    def list_routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(SIGN_IN, self.show, methods=["GET"]),
            Route(SIGN_IN, self.check, methods=["POST"]),
            Route(START, self.start, methods=["GET"]),
            Route(RETURN, self.come_back, methods=["GET"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form, and the way to the provider."""
        return self._page(request.query_params.get("to", "/"))

    async def check(self, request: Request) -> Response:
        """Name, token and code."""
        form = {name: str(value) for name, value in (await read_form(request, _LONGEST_FORM)).items()}
        to, name = form.get("to", "/"), form.get("name", "").strip()
        if not is_from_here(request):
            return PlainTextResponse("this was not asked by a page of this console: load the page again", 403)
        person = await self.gate.tokens.find(name, form.get("token", "").strip())
        if person is None or person.role == "monitor":
            return self._page(to, _WRONG, 401)
        if fault := await run_in_threadpool(self._check_second_factor, person, form.get("code", "").strip()):
            self.gate.told({"event": "refused", "who": person.name, "said": fault})
            return self._page(to, fault, 401)
        self.gate.tokens.clear(person.name)
        visitor = Visitor(person.name, person.role, "token", person.hash)
        return self.gate.let_in(request, RedirectResponse(_keep_here(to), 303), visitor)

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider."""
        to = _keep_here(request.query_params.get("to", "/"))
        if self.gate.openid is None:
            return RedirectResponse(f"{SIGN_IN}?to={quote(to, safe='')}", 303)
        try:
            url, cookie = await run_in_threadpool(self.gate.openid.begin, to)
        except OpenIdError as error:
            return self._refuse_openid(to, error)
        response = RedirectResponse(url, 303)
        self.gate.set_sign_in_cookie(request, response, cookie)
        return response

    async def come_back(self, request: Request) -> Response:
        """The provider sent the browser back."""
        if self.gate.openid is None:
            return RedirectResponse(SIGN_IN, 303)
        cookie = self.gate.read_sign_in_cookie(request)
        try:
            visitor, to = await run_in_threadpool(self.gate.openid.finish, dict(request.query_params), cookie)
        except OpenIdError as error:
            self.gate.sessions.end(self.gate.read_cookie(request))
            return self._refuse_openid("/", error)
        return self.gate.let_in(request, RedirectResponse(to, 303), visitor)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        form = await read_form(request, _LONGEST_FORM)
        if not is_asked_here(request, str(form.get("form", "")), get_form_word(request)):
            return PlainTextResponse("this was not asked by a page of this console: load the page again", 403)
        self.gate.sessions.end(self.gate.read_cookie(request))
        return RedirectResponse(SIGN_IN, 303)

    def _check_second_factor(self, person: Person, code: str) -> str:
        """Why this code does not do; "" if it does, or none is needed."""
        home = self.gate.home
        if has_factor(home, person.name):
            return check_code(home, person.name, code, self.now()) if code else _NO_CODE
        if person.role in self.gate.settings.second_factor:
            return (
                f"the role {person.role} needs a second factor; on the coordinator's machine run "
                f"`ceus-coordinator people FOLDER totp {person.name}`"
            )
        return ""

    def _refuse_openid(self, to: str, error: OpenIdError) -> Response:
        self.gate.told({"event": "refused", "by": "openid", "said": str(error)})
        return self._page(to, str(error), 401)

    def _page(self, to: str, fault: str = "", status: int = 200) -> Response:
        settings = self.gate.settings
        known: dict[str, Any] = {
            "whose": self.whose(),
            "tabs": (),
            "here": SIGN_IN,
            "again": 0,
            "to": _keep_here(to),
            "start": f"{START}?to={quote(_keep_here(to), safe='')}" if settings.openid else "",
            "issuer": settings.openid.issuer if settings.openid else "",
            "fault": fault,
        }
        response = page("server.console", "sign_in.html", title="Sign in", **known)
        response.status_code = status
        return response


def _keep_here(to: str) -> str:
    """A page of this console, whatever was asked for."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() else "/"
