"""`ceus-coordinator console`: how the federation stands, in a browser. It reads files and orders nothing.

Whoever signs in sees what his role may see (docs/coordinator.md); nobody can change anything here.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
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
from server.console.basic_auth import BasicAuth, get_person
from server.console.loss_chart import build_charts
from server.console.users import Role
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
from server.run_folder.studies import find_plan, list_studies, read_settings
from server.transport.message_log import read_page

_COORDINATOR: tuple[Role, ...] = ("coordinator",)
_READERS: tuple[Role, ...] = ("coordinator", "researcher")
_MACHINES: tuple[Role, ...] = ("coordinator", "monitor")
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
    Page("/status.json", "status", _READERS, of_study=False),
    Page("/metrics", "metrics", _MACHINES, of_study=False),
    Page("/healthz", "health", _MACHINES, of_study=False),
)


def build_console(home: Home, federation: Federation, told: EventLog, gate: BasicAuth | None = None) -> ASGIApp:
    """The whole application. It answers to loopback names and to those of federation.yaml."""
    made = _Console(home)
    routes = [_route(one.path, made.answering(one), one.roles) for one in PAGES]
    routes.append(_route(STYLE, style, _READERS))
    router = Router(routes, redirect_slashes=False)
    return Guard(router, (*LOOPBACK, *list_hosts(federation)), gate or BasicAuth(home, told), told)


def _route(path: str, answer: Callable[[Request], Response], roles: tuple[Role, ...]) -> Route:
    def endpoint(request: Request) -> Response:
        role = get_person(request).role
        if role not in roles:
            return PlainTextResponse(f"this page is not for the role {role}", 403)
        return answer(request)

    return Route(path, endpoint, methods=["GET"])


@dataclass
class _Console:
    home: Home
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
        studies = {study.name: study for study in list_studies(self.home)}
        if not studies:
            return self._page(request, "message", "No study", message="There is no study yet.")
        asked = request.query_params.get("study") or _choose(list(studies.values()))
        if asked not in studies:
            return PlainTextResponse("there is no such study", 404)
        return answer(request, studies[asked])

    def _look(self, study: StudyFolder) -> tuple[Overview, Validity]:
        found = self.looks.get()
        return found.studies.get(study.name) or build_overview(study, found.up, None), found.validity

    def overview(self, request: Request, study: StudyFolder) -> Response:
        seen, valid = self._look(study)
        known: dict[str, Any] = {
            "seen": seen,
            "trouble": format_trouble(seen.trouble) if seen.trouble else "",
            "warnings": valid.warnings if _may_see_all(request) else (),
            "at_work": view.list_pending(seen),
            "answered": view.count_fates(seen),
            "charts": build_charts(seen.rounds),
            "rounds": seen.rounds[: -_LAST_ROUNDS - 1 : -1],
        }
        return self._page(request, "overview", "Overview", study, **known, again=_AGAIN_S)

    def rounds(self, request: Request, study: StudyFolder) -> Response:
        rounds = self._look(study)[0].rounds[::-1]
        number, pages = find_page(request, len(rounds), _ON_A_PAGE)
        shown = rounds[(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE]
        return self._page(request, "rounds", "Rounds", study, rounds=shown, page=number, pages=pages)

    def sites(self, request: Request, study: StudyFolder) -> Response:
        seen, valid = self._look(study)
        known: dict[str, Any] = {
            "rows": view.site_rows(seen, valid),
            "lines": (*valid.servers, *valid.sites),
            "slow": {site.name for site in view.list_pending(seen) if site.slow},
            "bundle": hashlib.sha256(study.bundle.read_bytes()).hexdigest() if study.bundle.exists() else "",
            "of": study.name,
        }
        return self._page(request, "sites", "Sites", study, **known, again=_AGAIN_S)

    def record(self, request: Request, study: StudyFolder) -> Response:
        number, pages = find_page(request, read_page(study.run, 1, 0)[1], _ON_A_PAGE)
        rounds = self._look(study)[0].rounds
        found = read_page(study.run, number, _ON_A_PAGE)[0]
        letters = [(place, letter, view.describe_fate(letter, rounds)) for place, letter in found]
        return self._page(request, "record", "Record", study, letters=letters, page=number, pages=pages)

    def message(self, request: Request, study: StudyFolder) -> Response:
        number = request.path_params["number"]
        count = read_page(study.run, 1, 0)[1]
        found = dict(read_page(study.run, count - number + 1, 1)[0]) if 1 <= number <= count else {}
        if number not in found:
            return PlainTextResponse("there is no such letter", 404)
        letter = found[number]
        fate = view.describe_fate(letter, self._look(study)[0].rounds)
        place = (count - number) // _ON_A_PAGE + 1
        return self._page(request, "letter", f"Letter {number}", study, letter=letter, fate=fate, page=place)

    def report(self, request: Request, study: StudyFolder) -> Response:
        found = self._report_now(study)
        if not found:
            message = "No round is finished yet, so there is nothing to report."
            return self._page(request, "message", "Report", study, message=message)
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

    def _page(
        self, request: Request, name: str, title: str, study: StudyFolder | None = None, **known: Any
    ) -> Response:
        person = get_person(request)
        studies = [one.name for one in list_studies(self.home)]
        place: dict[str, Any] = {
            "here": request.url.path,
            "tabs": [(one.path, one.tab) for one in PAGES if one.tab and person.role in one.roles],
            "again": 0,
            "missing": view.missing,
            "which": _choice(study.name) if study and len(studies) > 1 else "",
            "choices": [(name, _choice(name)) for name in studies] if len(studies) > 1 else [],
            "whose": f"{load_federation(self.home.federation).name}: coordinator's console · {person}, {person.role}",
        }
        return page("server.console", f"{name}.html", title=title, **(place | known))


def _choose(studies: Sequence[StudyFolder]) -> str:
    """Of which study a page is that names none: one that is under way, else the first."""
    return next((study.name for study in studies if is_under_way(study)), studies[0].name)


def _choice(name: str) -> str:
    return urlencode({"study": name})


def _may_see_all(request: Request) -> bool:
    return get_person(request).role == "coordinator"
