"""`ceus-coordinator console`: how the federation stands, in a browser.

Whoever signs in sees what his role may see (docs/coordinator.md).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.supervisor import EventLog
from ceus_models.web.guard import LOOPBACK, Guard
from ceus_models.web.responses import STYLE, as_json, find_page, page, style
from server.console import view
from server.console.loss_chart import build_charts
from server.console.sign_in.gate import ConsoleGate, make_gate
from server.console.sign_in.pages import SignInPages
from server.console.sign_in.sessions import get_form_word, get_visitor
from server.console.sign_in.users import Role
from server.federation.federation_file import Federation, load_federation
from server.federation.founding import list_hosts
from server.operations.health import health_of
from server.operations.prometheus import render_metrics
from server.operations.snapshot import SnapshotCache
from server.operations.status_text import format_trouble
from server.report.page import render_report
from server.report.publish import REPORT, collect_run_results
from server.rounds.saving.checkpoints import Store
from server.run_folder.paths import Home
from server.transport.message_log import read_page

_COORDINATOR: tuple[Role, ...] = ("coordinator",)
_READERS: tuple[Role, ...] = ("coordinator", "researcher")
_MACHINES: tuple[Role, ...] = ("coordinator", "monitor")
_ALL: tuple[Role, ...] = ("coordinator", "researcher", "monitor")
_AGAIN_S = 30
_LAST_ROUNDS, _ON_A_PAGE = 12, 100
# the report's figures bear their colours in the file; scripts stay forbidden
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Page:
    """A page of the console. answer: a method of `_Console` · roles: who sees it · tab: its name among the tabs."""

    path: str
    answer: str
    roles: tuple[Role, ...]
    tab: str = ""


PAGES = (
    Page("/", "overview", _READERS, "Overview"),
    Page("/rounds", "rounds", _READERS, "Rounds"),
    Page("/sites", "sites", _COORDINATOR, "Sites"),
    Page("/record", "record", _COORDINATOR, "Record"),
    Page("/record/{number:int}", "message", _COORDINATOR),
    Page("/report", "report", _READERS, "Report"),
    Page("/status.json", "status", _ALL),
    Page("/metrics", "metrics", _MACHINES),
    Page("/healthz", "health", _MACHINES),
)


def build_console(home: Home, federation: Federation, told: EventLog, gate: ConsoleGate | None = None) -> ASGIApp:
    """The whole application. It answers to loopback names, to those of federation.yaml and to that of console.yaml."""
    gate = gate or make_gate(home, told)
    made = _Console(home)
    routes = [_route(one.path, getattr(made, one.answer), one.roles) for one in PAGES]
    routes += SignInPages(gate, lambda: describe_console(home)).list_routes()
    routes.append(Route(STYLE, style, methods=["GET"]))
    router = Router(routes, redirect_slashes=False)
    return Guard(router, (*LOOPBACK, *list_hosts(federation), *gate.settings.host), gate, told)


def describe_console(home: Home) -> str:
    """Whose console this is."""
    return f"{load_federation(home.federation).name}: coordinator's console"


def _route(path: str, answer: Callable[[Request], Response], roles: tuple[Role, ...]) -> Route:
    def endpoint(request: Request) -> Response:
        role = get_visitor(request).role
        if role not in roles:
            return PlainTextResponse(f"this page is not for the role {role}", 403)
        return answer(request)

    return Route(path, endpoint, methods=["GET"])


@dataclass
class _Console:
    home: Home
    looks: SnapshotCache = field(init=False)
    _report: tuple[float, str] = field(default=(0.0, ""), init=False)
    _drawing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.looks = SnapshotCache(self.home)

    def overview(self, request: Request) -> Response:
        seen, valid = self.looks.get()
        known: dict[str, Any] = {
            "seen": seen,
            "trouble": format_trouble(seen.trouble) if seen.trouble else "",
            "warnings": valid.warnings if _may_see_all(request) else (),
            "at_work": view.list_pending(seen),
            "answered": view.count_fates(seen),
            "charts": build_charts(seen.rounds),
            "rounds": seen.rounds[: -_LAST_ROUNDS - 1 : -1],
        }
        return self._page(request, "overview", "Overview", **known, again=_AGAIN_S)

    def rounds(self, request: Request) -> Response:
        rounds = self.looks.get()[0].rounds[::-1]
        number, pages = find_page(request, len(rounds), _ON_A_PAGE)
        shown = rounds[(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE]
        return self._page(request, "rounds", "Rounds", rounds=shown, page=number, pages=pages)

    def sites(self, request: Request) -> Response:
        seen, valid = self.looks.get()
        known: dict[str, Any] = {
            "rows": view.site_rows(seen, valid),
            "lines": (*valid.servers, *valid.sites),
            "slow": {site.name for site in view.list_pending(seen) if site.slow},
            "bundle": hashlib.sha256(self.home.bundle.read_bytes()).hexdigest() if self.home.bundle.exists() else "",
        }
        return self._page(request, "sites", "Sites", **known, again=_AGAIN_S)

    def record(self, request: Request) -> Response:
        number, pages = find_page(request, read_page(self.home.run, 1, 0)[1], _ON_A_PAGE)
        rounds = self.looks.get()[0].rounds
        found = read_page(self.home.run, number, _ON_A_PAGE)[0]
        letters = [(place, letter, view.describe_fate(letter, rounds)) for place, letter in found]
        return self._page(request, "record", "Record", letters=letters, page=number, pages=pages)

    def message(self, request: Request) -> Response:
        number = request.path_params["number"]
        count = read_page(self.home.run, 1, 0)[1]
        found = dict(read_page(self.home.run, count - number + 1, 1)[0]) if 1 <= number <= count else {}
        if number not in found:
            return PlainTextResponse("there is no such letter", 404)
        letter = found[number]
        fate = view.describe_fate(letter, self.looks.get()[0].rounds)
        place = (count - number) // _ON_A_PAGE + 1
        return self._page(request, "letter", f"Letter {number}", letter=letter, fate=fate, page=place)

    def report(self, request: Request) -> Response:
        found = self._report_now()
        if not found:
            message = "No round is finished yet, so there is nothing to report."
            return self._page(request, "message", "Report", message=message)
        return HTMLResponse(found, headers={"content-security-policy": _REPORT_POLICY})

    def status(self, request: Request) -> Response:
        seen, valid = self.looks.get()
        document: Mapping[str, Any] = seen.as_json(valid)
        return as_json(document if _may_see_all(request) else view.redact_status(document))

    def metrics(self, _: Request) -> Response:
        return Response(render_metrics(*self.looks.get()), media_type=_EXPOSITION)

    def health(self, _: Request) -> Response:
        found = health_of(self.home, lambda: load_federation(self.home.federation))
        return PlainTextResponse(str(found), 503 if found.state == "fault" else 200)

    def _report_now(self) -> str:
        """The report that was written, or of the newest checkpoint where that is newer; "" before the first."""
        store, written = Store(self.home.run), self.home.run / REPORT
        saved = store.saved_at()
        if written.exists() and written.stat().st_mtime >= saved:
            return written.read_text(encoding="utf-8")
        with self._drawing:
            if self._report[0] != saved:
                federation = load_federation(self.home.federation)
                plan = load_plan(self.home.folder / federation.plan)
                progress = store.totals(plan.digest(), federation.seed)
                if progress is not None:
                    self._report = saved, render_report(collect_run_results(progress, plan, federation.seed))
            return self._report[1]

    def _page(self, request: Request, name: str, title: str, **known: Any) -> Response:
        visitor = get_visitor(request)
        place: dict[str, Any] = {
            "here": request.url.path,
            "tabs": [(one.path, one.tab) for one in PAGES if one.tab and visitor.role in one.roles],
            "again": 0,
            "missing": view.missing,
            "whose": f"{describe_console(self.home)} · {visitor}, {visitor.role}",
            "form": get_form_word(request),
        }
        return page("server.console", f"{name}.html", title=title, **(place | known))


def _may_see_all(request: Request) -> bool:
    return get_visitor(request).role == "coordinator"
