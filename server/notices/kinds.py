"""The kinds of notices, and who is told of which unless the file says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from server.console.sign_in.users import Role

Kind = Literal["trouble", "refusal", "exclusion", "loss", "certificate", "end", "gone", "withdrawn", "alarm", "address"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_ROLE: Mapping[Role, tuple[Kind, ...]] = {
    "coordinator": KINDS,
    "researcher": ("trouble", "end", "withdrawn"),
    "monitor": ("trouble", "loss", "certificate", "gone", "alarm", "address"),
}
"""Role → what its people are told."""
