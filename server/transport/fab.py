"""The Flower app bundle (FAB) that a run ships to every site: settings of the run, and no code."""

from __future__ import annotations

import hashlib
import io
import zipfile

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


def build_fab(server_app: str = SERVER_APP, federation: str = "", plan_digest: str = "", least_sites: int = 0) -> bytes:
    """Build the Flower app bundle: settings and no code.

    The bytes are the same on every machine, so that a site's IT approves one digest for this federation and plan. The
    settings of a run are sent separately. least_sites: that must be counted in every round; 0 for an unknown plan.
    """
    settings = _PYPROJECT.format(
        server_app=server_app, federation=federation, plan_digest=plan_digest, least_sites=least_sites
    ).encode()
    listing = f"pyproject.toml,{hashlib.sha256(settings).hexdigest()},{len(settings) * 8}".encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in (("pyproject.toml", settings), (".info/CONTENT", listing)):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else the digest depends on the operating system
            file.writestr(entry, content)
    return archive.getvalue()
