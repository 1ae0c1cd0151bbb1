"""`ceus-site console`: what this site does, approved and sent, in a browser of the hospital's IT; on loopback alone.

Counts, ids and words of ours: no picture, no lesion, no path, but on the pages of outlining. What its buttons do is in
client.console.actions.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.findings import Finding
from ceus_models.runtime.language.terminal import say
from ceus_models.runtime.liveness.moment import Moment, compute_age, read_clock
from ceus_models.runtime.supervisor import EventLog, log_event
from ceus_models.web.guard import LOOPBACK, Guard
from ceus_models.web.responses import STYLE, find_page, page, style
from ceus_models.web.serve import listening, serve, url_of
from client.console.actions import Actions
from client.console.approval_view import read_approval_state
from client.console.language_switch import LanguageSwitch, list_choices
from client.console.outlining.drawing import Drawing
from client.console.outlining_pages import OutliningPages
from client.console.session import Session
from client.console.worklist_page import WORKLIST
from client.courier.folder import courier_of, socket_of, state_socket
from client.courier.ipc import WorkerUnreachableError, read_status
from client.courier.kit import is_ours, kit_of
from client.data.dataset.index_file import read_index_counts
from client.data.forms.site_config import SiteConfig, load_site
from client.faults.catalogue import REASONS
from client.policy import policy_text
from client.policy.approved_studies import read_approved
from client.policy.policy_file import PolicyFile
from client.service.health import Part, health_of
from client.service.studies import find_names
from client.worker.audit import summary
from client.worker.audit.log import HEAD_FILE, LOG_FILE, Entry, entries
from client.worker.audit.verify import Verdict, verify
from client.worker.site.opt_out import EVERY_STUDY, Participation, read_participation

_AGAIN_S = 30
_ON_A_PAGE = 50


def console_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine alone; 0: any that is free.")] = 8091,
    socket: Annotated[
        Path | None, typer.Option(help="Where the worker listens [default: FOLDER/run/worker.sock].")
    ] = None,
) -> None:
    """Show in a browser of this machine what the site does, approved and sent; decide by its buttons. Until Ctrl-C."""
    site = load_site(folder)
    check_owner(site)
    with listening(LOOPBACK[0], port) as opened, closing(Drawing(site)) as drawing:
        session = Session(read_account(), opened[0].getsockname()[1], log_event)
        say(f"open {url_of(opened, secure=False)}?token={session.token}")
        say("it works once, in a browser of this machine (or by ssh -L); Ctrl-C ends the console")
        serve(console(site, socket or socket_of(folder), session, log_event, drawing), opened)


def check_owner(site: SiteConfig) -> None:
    """Raises ExpectedError for another account than the folder's: what it wrote would lock the worker out."""
    owner = site.folder.stat().st_uid
    if owner != os.geteuid():
        raise ExpectedError(
            f"the console is for the account that owns the site's folder (number {owner}); run it as that one, for "
            f"instance by `sudo -u '#{owner}' ceus-site console …`"
        )


def console(
    site: SiteConfig, socket: Path, session: Session, told: EventLog, drawing: Drawing | None = None
) -> ASGIApp:
    """The whole application. drawing: what its pages of outlining work on, which is closed by who gave it."""
    made = _Console(site, socket, session)
    routes = [
        *(Route(path, getattr(made, name), methods=["GET"]) for path, name, _ in PAGES),
        *Actions(site, session, made.show).routes(),
        *OutliningPages(session, made.show, drawing or Drawing(site)).routes(),
        Route(STYLE, style, methods=["GET"]),
    ]
    return LanguageSwitch(Guard(Router(routes, redirect_slashes=False), LOOPBACK, session, told))


PAGES = (
    ("/", "now", "Now"),
    ("/approval", "approval", "Approval"),
    ("/audit", "audit", "Audit"),
    ("/audit/{number:int}", "entry", ""),
    ("/left", "list_left", "What left"),
    ("/index", "index", "Index"),
    ("/patient", "patient", "Forget a patient"),
)
"""Path, method of `_Console`, and name among the tabs, "" for none."""


@dataclass
class _Console:
    site: SiteConfig
    socket: Path
    session: Session
    _verdict: tuple[object, Verdict] | None = field(default=None, init=False)

    def now(self, request: Request) -> Response:
        standing, fault = self._read_participation()
        edition = PolicyFile(self.site.folder).load_current()
        kit, names = kit_of(courier_of(self.site.folder)), find_names(self.site)
        under_way = summary.under_way(self._entries())
        known = {
            "standing": standing,
            "standing_fault": fault,
            "health": self._health(),
            "under_way": under_way,
            "worked_s": self._work_age(under_way) if under_way else None,
            "policy": tuple(policy_text.describe_policy(edition.policy, self._list_approved()))
            if edition.policy
            else (),
            "names": names,
            "studies": tuple(dict.fromkeys(names.values())),
            "every": EVERY_STUDY,
            "is_left": lambda name: standing is not None and _has_left(standing, names, name),
            "has_courier": is_ours(courier_of(self.site.folder)),
            "policy_digest": edition.digest,
            "kit": kit,
        }
        return self._page(request, "now", "Now", **known, again=_AGAIN_S)

    def _work_age(self, under_way: summary.UnderWay) -> float | None:
        """Seconds since the task was begun, by the worker's clock, or else by the audit's times; None if unknown."""
        with suppress(WorkerUnreachableError):
            status = read_status(state_socket(self.socket))
            if status["doing"] == "working":
                return float(status["for_s"])
        return compute_age(Moment(under_way.since), read_clock())

    def approval(self, request: Request) -> Response:
        found, fault = None, ""
        try:
            found = read_approval_state(self.site.folder, self.site.records)
        except ExpectedError as error:
            fault = str(error)
        history = [entry for entry in self._entries() if entry["kind"] == "approval"][::-1]
        return self._page(request, "approval", "Approval", found=found, fault=fault, history=history)

    def audit(self, request: Request) -> Response:
        found = self._entries()
        number, pages = find_page(request, len(found), _ON_A_PAGE)
        shown = found[::-1][(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE]
        known = {"verdict": self._verify_audit(), "entries": shown, "page": number, "pages": pages}
        return self._page(request, "audit", "Audit", **known)

    def entry(self, request: Request) -> Response:
        found, number = self._entries(), request.path_params["number"]
        entry = next((one for one in found if one["n"] == number), None)
        if entry is None:
            return PlainTextResponse("there is no such entry", 404)
        tensors = tuple(summary.tensors(entry, found)) if entry["kind"] == "answer" else ()
        place = (len(found) - 1 - found.index(entry)) // _ON_A_PAGE + 1
        return self._page(request, "entry", f"Entry {number}", entry=entry, tensors=tensors, page=place)

    def list_left(self, request: Request) -> Response:
        left, names = summary.list_left(self._entries()), find_names(self.site)
        return self._page(request, "left", "What left", left=left, names=names, verdict=self._verify_audit())

    def index(self, request: Request) -> Response:
        try:
            return self._page(request, "index", "Index", counts=read_index_counts(self.site), reasons=REASONS)
        except ExpectedError as error:
            return self._page(request, "message", "Index", message=str(error))

    def patient(self, request: Request) -> Response:
        return self._page(request, "patient", "Forget a patient")

    def _list_approved(self) -> dict[str, str]:
        try:
            return read_approved(self.site.records).in_force()
        except ExpectedError:
            return {}

    def _read_participation(self) -> tuple[Participation | None, str]:
        try:
            return read_participation(self.site.records), ""
        except ExpectedError as error:
            return None, str(error)

    def _health(self) -> list[Finding]:
        ours = is_ours(courier_of(self.site.folder))
        parts: tuple[Part, ...] = ("worker", "courier") if ours else ("worker",)
        return health_of(self.site.folder, self.socket, parts)

    def _entries(self) -> list[Entry]:
        try:
            return list(entries(self.site.records))
        except OSError as error:
            raise ExpectedError(f"the audit cannot be read ({error.strerror}); run this as the worker's user") from None

    def _verify_audit(self) -> Verdict:
        """Walked again only where a file of it is another than at the last look."""
        paths = [self.site.records / name for name in (LOG_FILE, HEAD_FILE)]
        stamp = [(path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None for path in paths]
        if self._verdict is None or self._verdict[0] != stamp:
            self._verdict = stamp, verify(self.site.records)
        return self._verdict[1]

    def _page(self, request: Request, name: str, title: str, **known: Any) -> Response:
        return self.show(name, title, here=request.url.path, **known)

    def show(self, name: str, title: str, **known: Any) -> Response:
        """A page of this console."""
        everywhere = {
            "languages": list_choices(str(known.get("here", ""))),
            "whose": f"{self.site.name}: site's console · {self.session.account}",
            "tabs": [*((path, tab) for path, _, tab in PAGES if tab), (WORKLIST, "Outlining")],
            "here": "",
            "again": 0,
            "form": self.session.form,
            "in_words": summary.in_words,
        }
        return page("client.console", f"{name}.html", title=title, **(everywhere | known))


def _has_left(standing: Participation, names: dict[str, str], study: str) -> bool:
    """Whether every plan of a study was withdrawn from."""
    return all(digest in standing.withdrawn for digest, name in names.items() if name == study)
