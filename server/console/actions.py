"""Buttons of the console that change something: each is a form of a coordinator's session, and is written down."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ceus_models.pki.enrolment import utc_now
from ceus_models.pki.signed_documents import MAX_BYTES
from ceus_models.runtime.errors import ExpectedError
from ceus_models.web.forms import is_asked_here, read_form
from ceus_models.web.responses import find_page
from server.console.sign_in.sessions import get_form_word, get_visitor
from server.federation.certificate_authority import has_key, is_encrypted
from server.federation.enrolment import VerifiedRequest, parse_request
from server.federation.expiry import summarize_validity
from server.federation.federation_file import load_federation
from server.federation.site_register import read_register
from server.operations.actions.runs import start_run, stop_run
from server.operations.actions.sites import (
    check_requests,
    enrol_sites,
    make_roster,
    open_enrolment,
    renew_kits,
    revoke_site,
    tell_superlink,
)
from server.run_folder.action_log import Actor, read_actions
from server.run_folder.paths import Home
from server.run_folder.studies import find_study, list_studies

_LONGEST_FORM = 4 * MAX_BYTES
_ON_A_PAGE = 100
Render = Callable[..., Response]
"""(request, template, title, **what it lays out) → the page."""
Form = Mapping[str, str]


@dataclass(frozen=True)
class ActionPages:
    """All forms, and the pages that answer them."""

    home: Home
    render: Render

    def list_routes(self) -> list[Route]:
        """All of them, for coordinators alone."""
        actions: dict[str, Callable[[Request, Form], Response]] = {
            "/run/start": self.start,
            "/run/stop": self.stop,
            "/enrol": self.show_request,
            "/enrol/confirm": self.enrol,
            "/sites/{name}/renew": self.renew,
            "/sites/{name}/revoke": self.revoke,
            "/roster": self.make_roster,
        }
        shown = {"/actions": self.list_actions, "/enrol": self.ask_request, "/sites/{name}": self.show_site}
        return [
            *(Route(path, _show(answer), methods=["GET"]) for path, answer in shown.items()),
            *(Route(path, self._guard(action), methods=["POST"]) for path, action in actions.items()),
        ]

    def list_actions(self, request: Request) -> Response:
        """What was done, newest first."""
        found = read_actions(self.home)[::-1]
        number, pages = find_page(request, len(found), _ON_A_PAGE)
        shown = found[(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE]
        return self.render(request, "actions", "Actions", actions=shown, page=number, pages=pages)

    def ask_request(self, request: Request) -> Response:
        """The form for a site's request."""
        identity = summarize_validity(
            self.home, load_federation(self.home.federation), read_register(self.home), utc_now()
        ).identity
        return self.render(request, "enrol", "Enrol a site", identity=identity, has_key=has_key(self.home))

    def show_site(self, request: Request) -> Response:
        """One site, with what can be done to it."""
        name, register = request.path_params["name"], read_register(self.home)
        valid = summarize_validity(self.home, load_federation(self.home.federation), register, utc_now())
        line = next((line for line in valid.sites if line.name == name), None)
        if line is None:
            return PlainTextResponse("there is no such site", 404)
        kit = self.home.kit(name)
        known: dict[str, Any] = {
            "site": name,
            "line": line,
            "kit": kit.stat().st_mtime if kit.exists() else 0,
            "enrolled": register.current(name) is not None,
            "has_key": has_key(self.home),
            "encrypted": is_encrypted(self.home),
        }
        return self.render(request, "site", name, **known)

    def start(self, request: Request, form: Form) -> Response:
        """Order the run of a study."""
        study = find_study(self.home, form.get("study"))
        start_run(study, _actor_of(request))
        return RedirectResponse(f"/?study={study.name}", 303)

    def stop(self, request: Request, form: Form) -> Response:
        """Order its end."""
        study = find_study(self.home, form.get("study"))
        stop_run(study, form.get("when") == "at once", _actor_of(request))
        return RedirectResponse(f"/?study={study.name}", 303)

    def show_request(self, request: Request, form: Form) -> Response:
        """The fingerprint in a site's request, to be compared by telephone; nothing is done yet."""
        asked = _read_request(form)
        known: dict[str, Any] = {
            "asked": asked.request,
            "fingerprint": asked.fingerprint,
            "document": form["document"],
            "encrypted": is_encrypted(self.home),
        }
        return self.render(request, "enrol_confirm", f"Enrol {asked.request.site}", **known)

    def enrol(self, request: Request, form: Form) -> Response:
        """Register the key and write the kit."""
        asked = _read_request(form)
        if form.get("same") != "yes":
            raise ExpectedError(
                "nobody was enrolled: compare the fingerprint by telephone, and tick that it is the same"
            )
        office = open_enrolment(self.home, _passphrase_of(form))
        check_requests(office, [asked])
        (made,) = enrol_sites(office, [asked], _actor_of(request))
        studies = [study.name for study in list_studies(self.home) if study.bundle.exists()]
        known: dict[str, Any] = {"site": made.kit.site, "studies": studies, "lines": self._tell_superlink()}
        return self.render(request, "enrolled", f"Enrolled {made.kit.site}", **known)

    def renew(self, request: Request, form: Form) -> Response:
        """A new kit of a site."""
        site = request.path_params["name"]
        list(renew_kits(open_enrolment(self.home, _passphrase_of(form)), [site], _actor_of(request)))
        return RedirectResponse(f"/sites/{site}", 303)

    def revoke(self, request: Request, form: Form) -> Response:
        """Shut a site out."""
        site, reason = request.path_params["name"], form.get("reason", "").strip()
        if not reason:
            raise ExpectedError("a site is shut out with a reason, which is kept in the register; give one")
        revoke_site(self.home, site, reason, _actor_of(request))
        return self.render(request, "done", f"Revoked {site}", lines=self._tell_superlink(), back=f"/sites/{site}")

    def make_roster(self, request: Request, _: Form) -> Response:
        """The list of sites and keys of secure sums."""
        made = make_roster(self.home, _actor_of(request))
        return self.render(request, "roster", f"Roster {made.number}", digest=made.digest(), sites=sorted(made.sites))

    def _tell_superlink(self) -> list[str]:
        """What it does at once; the action is done whether it answers or not."""
        try:
            return tell_superlink(self.home)
        except ExpectedError as error:
            return [f"the SuperLink is told within a minute by `ceus-coordinator up`; now: {error}"]

    def _guard(self, action: Callable[[Request, Form], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if get_visitor(request).role != "coordinator":
                return _refuse_role()
            try:
                form = _as_text(await read_form(request, _LONGEST_FORM))
                if not is_asked_here(request, form.get("form", ""), get_form_word(request)):
                    return PlainTextResponse("this was not asked by a page of this console: load the page again", 403)
                return await run_in_threadpool(action, request, form)
            except ExpectedError as error:
                response = self.render(request, "refused", "This was not done", fault=str(error))
                response.status_code = 409
                return response

        return endpoint


def _show(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return answer(request) if get_visitor(request).role == "coordinator" else _refuse_role()

    return endpoint


def _refuse_role() -> Response:
    return PlainTextResponse("this page is for coordinators alone", 403)


def _as_text(form: Mapping[str, str | bytes]) -> Form:
    """A file becomes base64, so that a later form can bear it."""
    return {name: part if isinstance(part, str) else base64.b64encode(part).decode() for name, part in form.items()}


def _read_request(form: Form) -> VerifiedRequest:
    try:
        content = base64.b64decode(form.get("document", ""), validate=True)
    except binascii.Error:
        content = b""
    return parse_request(content, "the file")


def _passphrase_of(form: Form) -> bytes | None:
    """Of the CA's key; it is kept nowhere."""
    return form["passphrase"].encode() if form.get("passphrase") else None


def _actor_of(request: Request) -> Actor:
    visitor = get_visitor(request)
    return Actor(visitor.name, f"console, {visitor.by}" + (f" {visitor.key}" if visitor.by == "openid" else ""))
