"""Seeds derived from names: no random number depends on the order of work or on the worker."""

from __future__ import annotations

import hashlib
import json


def derive_seed(*parts: str | int) -> int:
    """Derive a 63-bit seed from the name of a draw: SHA-256 over the parts as JSON.

    >>> derive_seed(7, "train", "submodels", 3, "site-01", "disease/HCC")
    3791457954169161313
    """
    text = json.dumps(parts, separators=(",", ":")).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1
