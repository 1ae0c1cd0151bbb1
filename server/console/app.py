"""`ceus-coordinator console`: how the federation stands, in a browser.

Whoever signs in sees what his role may see (docs/coordinator.md).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.supervisor import EventLog
from ceus_models.web.guard import LOOPBACK, Guard
from ceus_models.web.responses import STYLE, as_json, find_page, page, style
from server.console import view
from server.console.actions import ActionPages
from server.console.chosen_study import choose_study
from server.console.downloads import Downloads
from server.console.loss_chart import build_charts
from server.console.sign_in.gate import ConsoleGate, make_gate
from server.console.sign_in.pages import SignInPages
from server.console.sign_in.sessions import get_form_word, get_visitor
from server.console.sign_in.users import Role
from server.federation.expiry import Validity
from server.federation.federation_file import Federation, load_federation
from server.federation.founding import list_hosts
from server.operations.health import health_of
from server.operations.overview import Overview, build_overview
from server.operations.prometheus import render_metrics
from server.operations.snapshot import SnapshotCache
from server.operations.status_text import format_trouble
from server.report.page import render_report
from server.report.publish import REPORT, collect_run_results
from server.rounds.saving.checkpoints import Store
from server.run_folder.orders import is_under_way
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import find_plan, list_by_urgency, list_studies, read_settings
from server.transport.message_log import read_page

_COORDINATOR: tuple[Role, ...] = ("coordinator",)
_READERS: tuple[Role, ...] = ("coordinator", "researcher")
_MACHINES: tuple[Role, ...] = ("coordinator", "monitor")
_ALL: tuple[Role, ...] = ("coordinator", "researcher", "monitor")
_AGAIN_S = 30
_LAST_ROUNDS, _ON_A_PAGE = 12, 100
# the report's figures bear their colours in the file; scripts stay forbidden
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
_NO_REPORT = (0.0, "")
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Page:
    """A page of the console.

    Args:
        answer: a method of `_Console`.
        roles: who sees it.
        tab: its name among the tabs.
        of_study: whether it is of one study, which `?study=NAME` chooses.
    """

    path: str
    answer: str
    roles: tuple[Role, ...]
    tab: str = ""
    of_study: bool = True


PAGES = (
    Page("/", "overview", _READERS, "Overview"),
    Page("/rounds", "rounds", _READERS, "Rounds"),
    Page("/sites", "sites", _COORDINATOR, "Sites"),
    Page("/record", "record", _COORDINATOR, "Record"),
    Page("/record/{number:int}", "message", _COORDINATOR),
    Page("/report", "report", _READERS, "Report"),
    Page("/status.json", "status", _ALL, of_study=False),
    Page("/metrics", "metrics", _MACHINES, of_study=False),
    Page("/healthz", "health", _MACHINES, of_study=False),
)


NoticeCheck = Callable[[Home, bool], Sequence[str]]
"""What is wrong with the notices of a federation, one line each; told whether it is up."""


def build_console(
    home: Home,
    federation: Federation,
    told: EventLog,
    gate: ConsoleGate | None = None,
    check_notices: NoticeCheck = lambda home, up: (),
) -> ASGIApp:
    """The whole application. It answers to loopback names, to those of federation.yaml and to that of console.yaml.

    Args:
        told: gets a line for each page that is read.
        gate: who may sign in; made of the federation's files without it.
        check_notices: asked whenever the overview is read.
    """
    gate = gate or make_gate(home, told)
    made = _Console(home, gate.settings.download, check_notices)
    routes = [_route(one.path, made.answering(one), one.roles) for one in PAGES]
    routes += ActionPages(home, made.render).list_routes()
    routes += Downloads(home, made.render, gate.settings.download).list_routes()
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
    download: Collection[str]
    check_notices: NoticeCheck
    looks: SnapshotCache = field(init=False)
    _reports: dict[str, tuple[float, str]] = field(default_factory=dict, init=False)
    _drawing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.looks = SnapshotCache(self.home)

    def answering(self, page: Page) -> Callable[[Request], Response]:
        """The answer of a page, to which that of one study gives the study."""
        answer = getattr(self, page.answer)
        return partial(self._answer_of_study, answer) if page.of_study else answer

    def _answer_of_study(self, answer: Callable[[Request, StudyFolder], Response], request: Request) -> Response:
        studies = list_by_urgency(self.home)
        if not studies:
            return self.render(request, "message", "No study", message="There is no study yet.")
        study = choose_study(studies, request.query_params.get("study"))
        return answer(request, study) if study else PlainTextResponse("there is no such study", 404)

    def _look(self, study: StudyFolder) -> tuple[Overview, Validity]:
        found = self.looks.get()
        return found.studies.get(study.name) or build_overview(study, found.up, None), found.validity

    def overview(self, request: Request, study: StudyFolder) -> Response:
        seen, valid = self._look(study)
        known: dict[str, Any] = {
            "seen": seen,
            "trouble": format_trouble(seen.trouble) if seen.trouble else "",
            "warnings": self._list_warnings(valid) if _may_see_all(request) else (),
            "at_work": view.list_pending(seen),
            "answered": view.count_fates(seen),
            "charts": build_charts(seen.rounds),
            "may_act": _may_see_all(request),
            "under_way": is_under_way(study),
            "of": study.name,
            "rounds": seen.rounds[: -_LAST_ROUNDS - 1 : -1],
        }
        return self.render(request, "overview", "Overview", study, **known, again=_AGAIN_S)

    def _list_warnings(self, valid: Validity) -> tuple[str, ...]:
        return (*valid.warnings, *self.check_notices(self.home, self.looks.get().up))

    def rounds(self, request: Request, study: StudyFolder) -> Response:
        rounds = self._look(study)[0].rounds[::-1]
        number, pages = find_page(request, len(rounds), _ON_A_PAGE)
        shown = rounds[(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE]
        return self.render(request, "rounds", "Rounds", study, rounds=shown, page=number, pages=pages)

    def sites(self, request: Request, study: StudyFolder) -> Response:
        seen, valid = self._look(study)
        known: dict[str, Any] = {
            "rows": view.site_rows(seen, valid),
            "lines": (*valid.servers, *valid.sites),
            "slow": {site.name for site in view.list_pending(seen) if site.slow},
            "bundle": hashlib.sha256(study.bundle.read_bytes()).hexdigest() if study.bundle.exists() else "",
            "of": study.name,
        }
        return self.render(request, "sites", "Sites", study, **known, again=_AGAIN_S)

    def record(self, request: Request, study: StudyFolder) -> Response:
        number, pages = find_page(request, read_page(study.run, 1, 0)[1], _ON_A_PAGE)
        rounds = self._look(study)[0].rounds
        found = read_page(study.run, number, _ON_A_PAGE)[0]
        messages = [(place, message, view.describe_fate(message, rounds)) for place, message in found]
        return self.render(request, "record", "Record", study, messages=messages, page=number, pages=pages)

    def message(self, request: Request, study: StudyFolder) -> Response:
        number = request.path_params["number"]
        count = read_page(study.run, 1, 0)[1]
        found = dict(read_page(study.run, count - number + 1, 1)[0]) if 1 <= number <= count else {}
        if number not in found:
            return PlainTextResponse("there is no such message", 404)
        message = found[number]
        fate = view.describe_fate(message, self._look(study)[0].rounds)
        place = (count - number) // _ON_A_PAGE + 1
        title = f"Message {number}"
        return self.render(request, "logged_message", title, study, message=message, fate=fate, page=place)

    def report(self, request: Request, study: StudyFolder) -> Response:
        found = self._report_now(study)
        if not found:
            message = "No round is finished yet, so there is nothing to report."
            return self.render(request, "message", "Report", study, message=message)
        return HTMLResponse(found, headers={"content-security-policy": _REPORT_POLICY})

    def status(self, request: Request) -> Response:
        found, asked = self.looks.get(), request.query_params.get("study")
        if asked is not None and asked not in found.studies:
            return PlainTextResponse("there is no such study", 404)
        chosen = found if asked is None else replace(found, studies={asked: found.studies[asked]})
        document = chosen.as_json()
        return as_json(document if _may_see_all(request) else view.redact_status(document))

    def metrics(self, _: Request) -> Response:
        return Response(render_metrics(self.looks.get()), media_type=_EXPOSITION)

    def health(self, _: Request) -> Response:
        found = health_of(self.home, lambda: load_federation(self.home.federation))
        return PlainTextResponse(str(found), 503 if found.state == "fault" else 200)

    def _report_now(self, study: StudyFolder) -> str:
        """The report that was written, or of the newest checkpoint where that is newer; "" before the first."""
        store, written = Store(study.run), study.run / REPORT
        saved = store.saved_at()
        if written.exists() and written.stat().st_mtime >= saved:
            return written.read_text(encoding="utf-8")
        with self._drawing:
            if self._reports.get(study.name, _NO_REPORT)[0] != saved:
                plan, seed = load_plan(find_plan(study)), read_settings(study).seed
                progress = store.totals(plan.digest(), seed)
                if progress is not None:
                    self._reports[study.name] = saved, render_report(collect_run_results(progress, plan, seed))
            return self._reports.get(study.name, _NO_REPORT)[1]

    def render(
        self, request: Request, name: str, title: str, study: StudyFolder | None = None, **known: Any
    ) -> Response:
        """A page with what stands on all of them."""
        visitor = get_visitor(request)
        further = (("/download", self.download, "Download"), ("/actions", _COORDINATOR, "Actions"))
        tabs = [*((one.path, one.roles, one.tab) for one in PAGES if one.tab), *further]
        studies = [one.name for one in list_studies(self.home)]
        place: dict[str, Any] = {
            "here": request.url.path,
            "tabs": [(path, tab) for path, roles, tab in tabs if visitor.role in roles],
            "again": 0,
            "missing": view.missing,
            "which": _choice(study.name) if study and len(studies) > 1 else "",
            "choices": [(name, _choice(name)) for name in studies] if len(studies) > 1 else [],
            "whose": f"{describe_console(self.home)} · {visitor}, {visitor.role}",
            "form": get_form_word(request),
        }
        return page("server.console", f"{name}.html", title=title, **(place | known))


def _choice(name: str) -> str:
    return urlencode({"study": name})


def _may_see_all(request: Request) -> bool:
    return get_visitor(request).role == "coordinator"
