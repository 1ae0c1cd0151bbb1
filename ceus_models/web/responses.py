"""What a console answers with: a page, the stylesheet, a document for a machine."""

from __future__ import annotations

import json
import time
from math import ceil
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ceus_models.web.templates import render, stylesheet

STYLE = "/style.css"


def page(package: str, template: str, **values: Any) -> Response:
    """One page as it is now."""
    return HTMLResponse(render(package, template, now=time.time(), **values))


def style(_: Request) -> Response:
    """The one stylesheet."""
    return Response(stylesheet(), media_type="text/css")


def find_page(request: Request, count: int, size: int) -> tuple[int, int]:
    """The page of a long list that is asked for, within those that there are, and their number. size: lines a page."""
    pages = max(1, ceil(count / size))
    asked = request.query_params.get("page", "1")
    return min(max(1, int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 1), pages), pages


def as_json(document: object) -> Response:
    """For a machine."""
    return Response(json.dumps(document, indent=2, ensure_ascii=False), media_type="application/json")
