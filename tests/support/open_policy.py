"""The policy of a made-up hospital that lets everything pass, as far as a test does not say otherwise."""

from __future__ import annotations

from typing import Any

import yaml

from client.policy.policy import Policy
from client.policy.privacy_levels import PrivacyLevels

_LEVELS = {"training": "none", "statistics": "none", "evaluation": "none", "bound_to_plan": False, "minimum_sites": 3}
_OPEN: dict[str, Any] = {
    "schema": 2,
    "studies": "any",
    "minimum_lesions": 1,
    "minimum_cell": 1,
    "max_replicates": 10_000,
    "privacy": _LEVELS,
    "accept_risk": "Made-up lesions of a test, no patient is behind them.",
}
OPEN_LEVELS = PrivacyLevels(**_LEVELS)


def open_policy(**changes: object) -> Policy:
    """The open policy with some settings changed."""
    return Policy(**{**_OPEN, "privacy": OPEN_LEVELS, **changes})


def open_text(**changes: object) -> str:
    """The same as the text of a policy.yaml."""
    return yaml.safe_dump({**_OPEN, **changes}, sort_keys=False)
