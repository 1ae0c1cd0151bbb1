"""The Flower app bundle (FAB) that a run ships to every site: settings of the run, the signed study, and no code."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ceus_models.pki.keys import PrivateKey, PublicKey
from ceus_models.pki.offered_study import STUDY_FILE, OfferedStudy, sign_study, verify_study
from ceus_models.runtime.errors import ExpectedError

if TYPE_CHECKING:  # `status` does without torch
    from ceus_models.plan.plan import Plan

SERVER_APP = "server.server_app:app"
_PYPROJECT = """[project]
name = "fedceus"
version = "1"
description = "Run settings of a fedceus study. This bundle carries no code: both sides run what they installed."
license = "Apache-2.0"

[tool.flwr.app]
publisher = "fedceus"

[tool.flwr.app.components]
serverapp = "{server_app}"
clientapp = "client.courier.client_app:app"

[tool.flwr.app.config]
plan = ""
out = ""
seed = 0
sites = 0
federation = "{federation}"
plan-digest = "{plan_digest}"
least-sites = {least_sites}
"""


def build_fab(
    server_app: str = SERVER_APP, federation: str = "", plan_digest: str = "", least_sites: int = 0, study: bytes = b""
) -> bytes:
    """Build the Flower app bundle: settings and no code.

    The bytes are the same on every machine, so that a site's IT approves one digest for this federation and plan. The
    settings of a run are sent separately.

    Args:
        server_app: that runs at the coordinator.
        federation: its id.
        plan_digest: of the study's plan.
        least_sites: that must be counted in every round; 0 for an unknown plan.
        study: the signed study; a simulation, in which nobody approves anything, has none.
    """
    files = {"pyproject.toml": format_settings(server_app, federation, plan_digest, least_sites)}
    if study:
        files[STUDY_FILE] = study
    listing = "\n".join(
        f"{name},{hashlib.sha256(content).hexdigest()},{len(content) * 8}" for name, content in files.items()
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in (*files.items(), (".info/CONTENT", listing.encode())):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else the digest depends on the operating system
            file.writestr(entry, content)
    return archive.getvalue()


def format_settings(server_app: str, federation: str, plan_digest: str, least_sites: int) -> bytes:
    """The run settings, as Flower reads them."""
    return _PYPROJECT.format(
        server_app=server_app, federation=federation, plan_digest=plan_digest, least_sites=least_sites
    ).encode()


def offer_study(plan: Plan, name: str, federation: str, now: datetime, server_app: str = SERVER_APP) -> OfferedStudy:
    """The study that a plan makes. Raises ExpectedError for a name or a plan that a site would not take."""
    digest, least = plan.digest(), min(plan.least_sites().values())
    settings = hashlib.sha256(format_settings(server_app, federation, digest, least)).hexdigest()
    try:
        return OfferedStudy(
            federation=federation, study=name, plan=plan.canonical(), plan_digest=digest, settings=settings, made=now
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ExpectedError(f"expected a study that sites can read, found {first['loc'][0]}: {first['msg']}") from None


def build_study_fab(plan: Plan, study: OfferedStudy, key: PrivateKey, server_app: str = SERVER_APP) -> bytes:
    """The bundle of a study, signed with the key of the federation's CA."""
    least = min(plan.least_sites().values())
    return build_fab(server_app, study.federation, study.plan_digest, least, sign_study(study, key))


def is_bundle_of(bundle: bytes, study: OfferedStudy, ca_key: PublicKey) -> bool:
    """Whether a bundle offers this study already, signed by this CA at whatever time."""
    with suppress(ExpectedError, zipfile.BadZipFile, KeyError), zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        found = verify_study(archive.read(STUDY_FILE), STUDY_FILE, study.federation, ca_key)
        settings = hashlib.sha256(archive.read("pyproject.toml")).hexdigest()
        return found.is_same(study) and settings == study.settings
    return False
