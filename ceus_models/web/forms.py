"""Forms that a console's pages send: read whole within a bound, and known to be asked by a page of ours."""

from __future__ import annotations

import hmac

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message

from ceus_models.runtime.errors import ExpectedError


class FormError(ExpectedError):
    """A form that no page of ours sends."""


async def read_form(request: Request, longest: int) -> dict[str, str | bytes]:
    """Read a form of at most `longest` bytes: its texts, and the contents of its files. Raises FormError."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > longest:
            raise FormError(f"what was sent must have at most {longest} bytes, and has more; load the page again")

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    whole = Request(request.scope, receive)
    async with whole.form(max_files=1, max_fields=50, max_part_size=longest) as form:
        return {name: await part.read() if isinstance(part, UploadFile) else part for name, part in form.items()}


def is_from_here(request: Request) -> bool:
    """Whether the browser says that a page of ours sent this; one that says nothing is believed."""
    # there is no Origin to look at: with the policy `no-referrer` browsers send "null" with a form
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def is_asked_here(request: Request, given: str, expected: str) -> bool:
    """Whether a form was sent by a page of ours: its hidden word is the session's, and the browser says so too."""
    return bool(expected) and is_same(given, expected) and is_from_here(request)


def is_same(given: str, ours: str) -> bool:
    """Compare in a time that does not depend on how much fits."""
    return hmac.compare_digest(given.encode(), ours.encode())
