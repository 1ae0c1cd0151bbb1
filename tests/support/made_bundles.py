"""Bundles of all kinds, in the form in which Flower ships them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

from server.transport.fab import build_fab

FEDERATION = "lab:" + "-".join(["0123"] * 8)
OURS = build_fab(federation=FEDERATION, plan_digest="ab" * 32, least_sites=3)


def files_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Mapping[str, bytes], listed: bool = True) -> bytes:
    """A bundle of these files; listed: with a listing that fits, as Flower's own `flwr build` writes it."""
    inside = {name: content for name, content in files.items() if not (listed and name == ".info/CONTENT")}
    if listed:
        lines = [f"{name},{hashlib.sha256(data).hexdigest()},{len(data) * 8}" for name, data in sorted(inside.items())]
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
