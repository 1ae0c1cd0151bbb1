"""`ceus-site console`: what this site does, approved and sent, in a browser of the hospital's IT; on loopback alone.

Counts, ids and words of ours: no picture, no lesion, no path. It pauses and resumes; everything else is a command.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

import typer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.findings import Finding
from ceus_models.runtime.liveness.moment import Moment, compute_age, read_clock
from ceus_models.runtime.supervisor import EventLog, log_event
from ceus_models.web.guard import LOOPBACK, Guard
from ceus_models.web.responses import STYLE, find_page, page, style
from ceus_models.web.serve import listening, serve, url_of
from client.console.approval_view import is_ours, kit_of, read_approval_state
from client.console.session import Session
from client.courier.folder import courier_of, socket_of, state_socket
from client.courier.ipc import WorkerUnreachableError, read_status
from client.data.dataset.index_file import read_index_counts
from client.data.forms.site_config import SiteConfig, load_site
from client.faults.catalogue import REASONS
from client.policy import policy_text
from client.policy.policy_file import PolicyFile
from client.service.health import Part, health_of
from client.worker.audit import summary
from client.worker.audit.log import HEAD_FILE, LOG_FILE, Entry, entries
from client.worker.audit.verify import Verdict, verify
from client.worker.site.opt_out import Change, Participation, change_participation, read_participation

_AGAIN_S = 30
_ON_A_PAGE = 50
_LONGEST_FORM = 4096


def console_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine alone; 0: any that is free.")] = 8091,
    socket: Annotated[
        Path | None, typer.Option(help="Where the worker listens [default: FOLDER/run/worker.sock].")
    ] = None,
) -> None:
    """Show in a browser of this machine what the site does, approved and sent; pause and resume it. Until Ctrl-C."""
    site = load_site(folder)
    check_owner(site)
    with listening(LOOPBACK[0], port) as opened:
        session = Session(read_account(), opened[0].getsockname()[1], log_event)
        typer.echo(f"open {url_of(opened, secure=False)}?token={session.token}")
        typer.echo("it works once, in a browser of this machine (or by ssh -L); Ctrl-C ends the console")
        serve(console(site, socket or socket_of(folder), session, log_event), opened)


def check_owner(site: SiteConfig) -> None:
    """Raises ExpectedError for another account than the folder's: what it wrote would lock the worker out."""
    owner = site.folder.stat().st_uid
    if owner != os.geteuid():
        raise ExpectedError(
            f"the console is for the account that owns the site's folder (number {owner}); run it as that one, for "
            f"instance by `sudo -u '#{owner}' ceus-site console …`"
        )


def console(site: SiteConfig, socket: Path, session: Session, told: EventLog) -> ASGIApp:
    """The whole application."""
    made = _Console(site, socket, session)
    routes = [
        *(Route(path, getattr(made, name), methods=["GET"]) for path, name, _ in PAGES),
        Route("/pause", _change_participation(made, "pause"), methods=["POST"]),
        Route("/resume", _change_participation(made, "resume"), methods=["POST"]),
        Route(STYLE, style, methods=["GET"]),
    ]
    return Guard(Router(routes, redirect_slashes=False), LOOPBACK, session, told)


PAGES = (
    ("/", "now", "Now"),
    ("/approval", "approval", "Approval"),
    ("/audit", "audit", "Audit"),
    ("/audit/{number:int}", "entry", ""),
    ("/left", "list_left", "What left"),
    ("/index", "index", "Index"),
)
"""Path, method of `_Console`, and name among the tabs, "" for none."""


def _change_participation(made: _Console, kind: Change) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST_FORM:
                return PlainTextResponse("a form of ours is shorter", 413)
        form = dict(parse_qsl(body.decode("ascii", "replace")))
        if not made.session.is_asked_here(request, form.get("form", "")):
            return PlainTextResponse("this was not asked by a page of this console: load the page again", 403)
        await run_in_threadpool(change_participation, made.site.records, kind, made.session.account)
        return RedirectResponse("/", 303)

    return endpoint


@dataclass
class _Console:
    site: SiteConfig
    socket: Path
    session: Session
    _verdict: tuple[object, Verdict] | None = field(default=None, init=False)

    def now(self, request: Request) -> Response:
        standing, fault = self._read_participation()
        edition = PolicyFile(self.site.folder).load_current()
        kit = kit_of(courier_of(self.site.folder))
        under_way = summary.under_way(self._entries())
        known = {
            "standing": standing,
            "standing_fault": fault,
            "health": self._health(),
            "under_way": under_way,
            "worked_s": self._work_age(under_way) if under_way else None,
            "policy": tuple(policy_text.describe_policy(edition.policy)) if edition.policy else (),
            "policy_digest": edition.digest,
            "kit": kit,
            "form": self.session.form,
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
            found = read_approval_state(self.site.folder)
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
        return self._page(
            request, "left", "What left", left=summary.list_left(self._entries()), verdict=self._verify_audit()
        )

    def index(self, request: Request) -> Response:
        try:
            return self._page(request, "index", "Index", counts=read_index_counts(self.site), reasons=REASONS)
        except ExpectedError as error:
            return self._page(request, "message", "Index", message=str(error))

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
        everywhere = {
            "whose": f"{self.site.name}: site's console · {self.session.account}",
            "tabs": [(path, tab) for path, _, tab in PAGES if tab],
            "here": request.url.path,
            "again": 0,
            "in_words": summary.in_words,
        }
        return page("client.console", f"{name}.html", title=title, **(everywhere | known))
