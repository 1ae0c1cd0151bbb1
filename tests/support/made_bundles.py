"""Bundles of all kinds, in the form in which Flower ships them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from datetime import datetime

import yaml

from ceus_models.pki.enrolment import format_federation_id, utc_now
from ceus_models.pki.keys import PrivateKey, generate_key
from ceus_models.plan.plan import parse_plan
from client.courier.fab import Trust
from server.transport.fab import SERVER_APP, build_study_fab, offer_study

CA = generate_key()
FEDERATION = format_federation_id("lab", CA.public_key())
OTHER_FEDERATION = "other:" + "-".join(["0123"] * 8)
TRUST = Trust(FEDERATION, CA.public_key())
NOW = utc_now()
PLAN = "{name: tiny, stages: [{stage: hello}]}"


def signed_bundle(
    plan: str = PLAN,
    key: PrivateKey = CA,
    federation: str = FEDERATION,
    made: datetime = NOW,
    server_app: str = SERVER_APP,
) -> bytes:
    """A bundle as a coordinator makes it, of a plan in YAML."""
    parsed, faults = parse_plan(yaml.safe_load(plan))
    assert parsed is not None, faults
    study = offer_study(parsed, parsed.name, federation, made, server_app)
    return build_study_fab(parsed, study, key, server_app)


OURS = signed_bundle()


def files_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Mapping[str, bytes], listed: bool = True) -> bytes:
    """A bundle of these files; listed: with a listing that fits, as Flower's own `flwr build` writes it."""
    inside = {name: content for name, content in files.items() if not (listed and name == ".info/CONTENT")}
    if listed:
        lines = [f"{name},{hashlib.sha256(data).hexdigest()},{len(data) * 8}" for name, data in inside.items()]
        inside[".info/CONTENT"] = "\n".join(lines).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in inside.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def with_files(**files: bytes) -> bytes:
    """Our bundle with files more; __ in a name stands for /, and ends as .py."""
    more = {f"{name.replace('__', '/')}.py": content for name, content in files.items()}
    return packed({**files_of(OURS), **more})


def with_settings(old: str, new: str, content: bytes = OURS) -> bytes:
    files = files_of(content)
    assert old.encode() in files["pyproject.toml"]
    return packed({**files, "pyproject.toml": files["pyproject.toml"].replace(old.encode(), new.encode())})
