"""The machine's own id, by which a site's folder or kit on a second machine is noticed."""

from __future__ import annotations

import hashlib
from pathlib import Path

_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_DIGITS = 16


def read_machine_id(site: str) -> str:
    """SHA-256 over the machine's id and the site's name, so that it tells nothing elsewhere; "" where there is none.

    A container has the host's, where its file is mounted as in docker/compose.site.yaml.
    """
    for path in _FILES:
        try:
            found = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if found:
            return hashlib.sha256(f"fedceus/machine/{site}/{found}".encode()).hexdigest()[:_DIGITS]
    return ""
