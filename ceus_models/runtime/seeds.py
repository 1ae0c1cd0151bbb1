"""Every random number of a study derives from a name, so that no draw depends on order or on the worker."""

from __future__ import annotations

import hashlib
import json


def seed_of(*parts: str | int) -> int:
    """A 63-bit seed for the named draw, e.g. `seed_of(7, "train", "submodels", 3, "site-01", "disease/HCC")`.

    Two different tuples of parts give independent seeds (SHA-256 over their JSON form).
    """
    text = json.dumps(parts, separators=(",", ":")).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1
