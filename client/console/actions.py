"""What the buttons of the site's console do: the same as the commands, with the same guards and entries in the audit.

Every one is a form of a page of this session. A patient's id is looked up once and then forgotten: the page that asks
for a confirmation has a word of ours in its place.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from client.console.approval_view import open_courier
from client.console.forms import Form, Show, take_form
from client.console.session import Session
from client.courier.fab import Contents, find_trust
from client.courier.kit import load_kit
from client.courier.waiting import find_bundles
from client.data.forms.site_config import SiteConfig
from client.service.approving import acknowledge_alarm, approve_bundle, refuse_bundle, take_back
from client.service.studies import find_digests, find_names, join_studies, leave_studies
from client.worker.site.forgetting import PatientFiles, find_patient, forget_patient
from client.worker.site.opt_out import EVERY_STUDY, change_participation

_MOST_FOUND = 20


@dataclass
class Actions:
    """show: makes a page of the console."""

    site: SiteConfig
    session: Session
    show: Show
    _found: dict[str, PatientFiles] = field(default_factory=dict, init=False)

    def routes(self) -> list[Route]:
        """A path for each button; all of them take forms of this session alone."""
        works: dict[str, Callable[[Form], Response]] = {
            "/pause": self._pause,
            "/resume": self._resume,
            "/approve": self._approve,
            "/refuse": self._refuse,
            "/disapprove": self._disapprove,
            "/seen": self._see_alarm,
            "/withdraw": self._ask_withdrawal,
            "/withdraw/confirm": self._withdraw,
            "/rejoin": self._rejoin,
            "/forget": self._ask_forgetting,
            "/forget/confirm": self._forget,
        }
        return [Route(path, take_form(self.session, self.show, work), methods=["POST"]) for path, work in works.items()]

    def _pause(self, form: Form) -> Response:
        change_participation(self.site.records, "pause", self.session.account)
        return RedirectResponse("/", 303)

    def _resume(self, form: Form) -> Response:
        change_participation(self.site.records, "resume", self.session.account)
        return RedirectResponse("/", 303)

    def _approve(self, form: Form) -> Response:
        courier = open_courier(self.site.folder)
        approve_bundle(courier, self.site.records, self._find_bundle(form), self.session.account, utc_now())
        return RedirectResponse("/approval", 303)

    def _refuse(self, form: Form) -> Response:
        courier = open_courier(self.site.folder)
        refuse_bundle(courier, self.site.records, self._find_bundle(form), self.session.account)
        return RedirectResponse("/approval", 303)

    def _disapprove(self, form: Form) -> Response:
        courier = open_courier(self.site.folder)
        take_back(courier, self.site.records, form.get("bundle", ""), self.session.account, utc_now())
        return RedirectResponse("/approval", 303)

    def _see_alarm(self, form: Form) -> Response:
        acknowledge_alarm(open_courier(self.site.folder), self.site.records, self.session.account)
        return RedirectResponse("/approval", 303)

    def _find_bundle(self, form: Form) -> Contents:
        """The bundle that the page showed, as it lies here now: by its whole SHA-256. Raises ExpectedError."""
        courier = open_courier(self.site.folder)
        found = find_bundles(courier, self.site.folder, find_trust(load_kit(courier, utc_now())))
        for one in found.bundles:
            if one.contents.sha256 == form.get("bundle", ""):
                return one.contents
        raise ExpectedError("the bundle of that page does not wait here any more; load the page again")

    def _ask_withdrawal(self, form: Form) -> Response:
        study = form.get("study", EVERY_STUDY)
        self._find_digests(study)
        return self.show("withdraw", "Withdraw", study=study, every=study == EVERY_STUDY)

    def _withdraw(self, form: Form) -> Response:
        leave_studies(self.site, self._find_digests(form.get("study", "")), self.session.account)
        return RedirectResponse("/", 303)

    def _rejoin(self, form: Form) -> Response:
        join_studies(self.site, self._find_digests(form.get("study", "")), self.session.account)
        return RedirectResponse("/", 303)

    def _find_digests(self, study: str) -> tuple[str, ...]:
        return find_digests(self.site, None if study == EVERY_STUDY else study)

    def _ask_forgetting(self, form: Form) -> Response:
        files = find_patient(self.site, form.get("patient_id", "").strip())
        if not files.lesions:
            raise ExpectedError(
                "expected a patient_id as lesions.csv has it, found no lesion of this one in the table, the cache or "
                "the records; mend the spelling"
            )
        word = secrets.token_urlsafe()
        self._found = dict([*self._found.items(), (word, files)][-_MOST_FOUND:])
        return self.show("forget_confirm", "Forget a patient", files=files, word=word)

    def _forget(self, form: Form) -> Response:
        files = self._found.pop(form.get("found", ""), None)
        if files is None:
            raise ExpectedError("expected the page that asked for a confirmation, found another; type the id again")
        done = forget_patient(self.site, files, self.session.account)
        return self.show("forgotten", "Forgotten", done=done, lesions=len(files.lesions), names=find_names(self.site))
