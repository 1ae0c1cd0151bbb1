"""How the site's console takes the form of a button: of a page of this session alone, and of bounded length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ceus_models.runtime.errors import ExpectedError
from client.console.session import Session

_LONGEST = 4096

Form = Mapping[str, str]
Show = Callable[..., Response]
"""Makes a page: template, title, values."""


def take_form(session: Session, show: Show, work: Callable[[Form], Response]) -> Callable[[Request], Any]:
    """An endpoint that does a button's work, or shows why nothing was done."""

    async def endpoint(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST:
                return PlainTextResponse("a form of ours is shorter", 413)
        form = dict(parse_qsl(body.decode("ascii", "replace")))
        if not session.is_asked_here(request, form.get("form", "")):
            return refuse_form()
        try:
            return await run_in_threadpool(work, form)
        except ExpectedError as error:
            refusal = show("message", "Nothing was done", message=str(error))
            refusal.status_code = 409
            return refusal

    return endpoint


def refuse_form() -> Response:
    """The answer to what no page of this session asked."""
    return PlainTextResponse("this was not asked by a page of this console: load the page again", 403)
