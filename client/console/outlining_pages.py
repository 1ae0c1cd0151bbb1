"""The pages on which lesions are outlined: a lesion, a screen's template; the worklist is beside.

They alone of all pages run scripts, which are ours and speak to this console only, and show pictures and the hospital's
own ids. What they do is in client.console.outlining.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.reader_language import translate
from ceus_models.web.guard import HEADERS, PART
from client.console.forms import Show, refuse_form
from client.console.outlining.cases import find_case
from client.console.outlining.drawing import Drawing
from client.console.outlining.screen_template import list_tints, read_screen, save_template
from client.console.outlining.worklist import STATES, WorkItem
from client.console.session import Session
from client.console.worklist_page import WORKLIST, WorklistPage
from client.data.forms.site_config import SiteConfig, load_site

_LESION = WORKLIST + "/{line:int}"
_LONGEST = 200_000
"""Bytes of what a page sends: an outline of 2000 points has 80,000."""
_POLICY = HEADERS["content-security-policy"].replace(
    "default-src 'none';", "default-src 'none'; script-src 'self'; connect-src 'self';"
)
_TYPES = {".js": "text/javascript", ".css": "text/css"}
SCRIPTS = ("outline.js", "panel.js", "stage.js", "frames.js", "polygon.js", "chart.js", "screen.js", "words.js")
FILES = ("outlining.css", *SCRIPTS)
_SAID = ("message", "hint", "trouble", "source", "doubts", "notes")
"""Of what a script is answered: what it shows to the reader."""

Work = Callable[[int, dict[str, Any]], Any]


@dataclass
class OutliningPages:
    """show: makes a page of the console."""

    session: Session
    show: Show
    drawing: Drawing

    @property
    def site(self) -> SiteConfig:
        """As site.yaml is now: a template may have been added."""
        return self.drawing.site

    def routes(self) -> list[Route]:
        """A path for each page, and for what its script asks and orders."""
        asked: dict[str, Work] = {"state": self._state, "trace": self._read_trace, "screen-state": self._screen_state}
        ordered: dict[str, Work] = {
            "trace": self._trace,
            "save": self._save,
            "use": self._use,
            "confirm": self._confirm,
            "reopen": self._reopen,
            "template": self._template,
        }
        return [
            *WorklistPage(self.session, self._page, self.drawing).routes(),
            *(Route(f"{WORKLIST}/{name}", _send_file(name), methods=["GET"]) for name in FILES),
            Route(_LESION, self.lesion, methods=["GET"]),
            Route(_LESION + "/screen", self.screen, methods=["GET"]),
            Route(_LESION + "/screen.png", self.picture, methods=["GET"]),
            Route(_LESION + "/frames/{number:int}", self.frame, methods=["GET"]),
            Route(_LESION + "/curve", self.curve, methods=["GET"]),
            *(Route(f"{_LESION}/{name}", self._answer(work), methods=["GET"]) for name, work in asked.items()),
            *(Route(f"{_LESION}/{name}", self._take(work), methods=["POST"]) for name, work in ordered.items()),
        ]

    def lesion(self, request: Request) -> Response:
        """One lesion to outline."""
        if not self.drawing.reader:
            return RedirectResponse(WORKLIST, 303)
        line = int(request.path_params["line"])
        items = self.drawing.worklist.list_items()
        try:
            self.drawing.open(line)
            item = next(one for one in items if one.case.line == line)
        except ExpectedError as error:
            return self._tell(error)
        return self._page(
            "outline",
            f"Row {line}: {item.case.lesion_id}",
            item=item,
            state=STATES[item.state],
            reader=self.drawing.reader,
            following=_find_next(items, item),
            here=WORKLIST,
        )

    def screen(self, request: Request) -> Response:
        """The template of a lesion's screen."""
        try:
            case = find_case(self.site, int(request.path_params["line"]))
        except ExpectedError as error:
            return self._tell(error)
        return self._page("screen", f"Panes of row {case.line}", case=case, tints=list_tints(self.site), here=WORKLIST)

    def picture(self, request: Request) -> Response:
        """A frame as the scanner showed it."""
        found = read_screen(find_case(self.site, int(request.path_params["line"])), self.site)
        return Response(found.picture, media_type="image/png")

    def frame(self, request: Request) -> Response:
        """A frame of the panes."""
        request.scope[PART] = True
        try:
            picture = self.drawing.draw_frame(request.path_params["line"], request.path_params["number"])
        except IndexError:
            return PlainTextResponse("there is no such frame", 404)
        return Response(picture, media_type="image/jpeg")

    def curve(self, request: Request) -> Response:
        """The curve of a place of the pane."""
        request.scope[PART] = True
        try:
            x, y, radius = (float(request.query_params[name]) for name in ("x", "y", "radius"))
        except (KeyError, ValueError):
            return PlainTextResponse("a place has x, y and radius", 400)
        if not max(abs(x), abs(y), abs(radius)) < 1e5:  # not a number is not below it either
            return PlainTextResponse("a place lies in the pane", 400)
        line = request.path_params["line"]
        return _as_json({"values": self.drawing.measure_place(line, x, y, radius)})

    def _state(self, line: int, _: dict[str, Any]) -> Any:
        if not self.drawing.open(line).is_ready():
            return {"state": "reading"}
        return {"state": "ready", **self.drawing.describe(line)}

    def _read_trace(self, line: int, _: dict[str, Any]) -> Any:
        return self.drawing.open(line).read_trace(line)

    def _screen_state(self, line: int, _: dict[str, Any]) -> Any:
        found = read_screen(find_case(self.site, line), self.site)
        names = ("rows", "columns", "manufacturer", "contrast", "bmode", "origin", "tint", "dynamic_range_db")
        return {name: getattr(found, name) for name in names}

    def _trace(self, line: int, given: dict[str, Any]) -> Any:
        self.drawing.start_trace(line, given.get("polygon"), given.get("frame"))
        return {}

    def _check_page(self, line: int, given: dict[str, Any]) -> None:
        """A row of the table may have come in since, or another reader may have begun. Raises ExpectedError."""
        if given.get("lesion") != find_case(self.site, line).lesion_id:
            raise ExpectedError("expected the lesion of this page in its row, found another; load the worklist again")
        if given.get("reader") != self.drawing.reader:
            raise ExpectedError("expected the reader of this page, found that another has begun; load the page again")

    def _save(self, line: int, given: dict[str, Any]) -> Any:
        self._check_page(line, given)
        return self.drawing.save(line, given.get("polygon"), given.get("frame"))

    def _use(self, line: int, given: dict[str, Any]) -> Any:
        self._check_page(line, given)
        return self.drawing.use(line, str(given.get("name", "")))

    def _confirm(self, line: int, given: dict[str, Any]) -> Any:
        self._check_page(line, given)
        self.drawing.confirm_track(line)
        return {}

    def _reopen(self, line: int, given: dict[str, Any]) -> Any:
        self.drawing.reopen(line)
        return {}

    def _template(self, line: int, given: dict[str, Any]) -> Any:
        entry = save_template(self.site, given)
        self.drawing.change_site(load_site(self.site.folder))
        return {"entry": entry}

    def _answer(self, work: Work) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            request.scope[PART] = True
            try:
                return _as_json(work(request.path_params["line"], {}))
            except ExpectedError as error:
                return _as_json({"state": "failed", "message": str(error)}, 409)

        return endpoint

    def _take(self, work: Work) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                body = await _read(request)
                if not self.session.is_asked_here(request, request.headers.get("x-form", "")):
                    return refuse_form()
                given = _parse(body)
                return _as_json(await run_in_threadpool(work, request.path_params["line"], given))
            except ExpectedError as error:
                return _as_json({"message": str(error)}, 409)

        return endpoint

    def _tell(self, error: ExpectedError) -> Response:
        page = self._page("message", "Outlining", message=str(error))
        page.status_code = 409
        return page

    def _page(self, name: str, title: str, here: str = WORKLIST, **known: Any) -> Response:
        page = self.show(name, title, here=here, worklist=WORKLIST, **known)
        page.headers["content-security-policy"] = _POLICY
        return page


def _find_next(items: tuple[WorkItem, ...], item: WorkItem) -> int | None:
    """Row of the lesion to work on after this one: the next that is not done, from the list's beginning at its end."""
    place = items.index(item)
    order = (*items[place + 1 :], *items[:place])
    return next((one.case.line for one in order if one.state != "done"), None)


async def _read(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            raise ExpectedError("what a page of ours sends is shorter; load the page again")
    return body


def _parse(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ExpectedError("expected what a page of ours sends, found something else; load the page again")
    return given


def _as_json(document: Any, status: int = 200) -> Response:
    """What is said in it, in the reader's language."""
    for name in _SAID if isinstance(document, dict) else ():
        said = document.get(name)
        if said:
            document = {**document, name: translate(said) if isinstance(said, str) else [*map(translate, said)]}
    return Response(json.dumps(document, allow_nan=False), status, media_type="application/json")


def _send_file(name: str) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        request.scope[PART] = True
        return Response(_read_file(name), media_type=_TYPES[name[name.index(".") :]])

    return endpoint


@cache
def _read_file(name: str) -> str:
    return files("client.console").joinpath("pages", name).read_text(encoding="utf-8")
