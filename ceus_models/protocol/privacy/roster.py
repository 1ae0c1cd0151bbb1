"""The roster of a federation: which channel key of secure sums belongs to which site."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from pydantic_core import to_json

from ceus_models.runtime.humanize import is_printable

_Key = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Roster:
    """All sites that may be in a secure sum.

    Without a roster that people compared, a coordinator could answer for sites that it made up itself.

    Args:
        federation: its id.
        number: of the roster; it grows with every change.
        sites: name → public channel key, in hexadecimal digits.
    """

    federation: Annotated[str, Field(max_length=200)]
    number: Annotated[int, Field(ge=1)]
    sites: Mapping[Annotated[str, Field(max_length=63)], _Key]

    def to_text(self) -> str:
        """The one way in which a roster is written."""
        return to_json(
            {"federation": self.federation, "number": self.number, "sites": dict(sorted(self.sites.items()))}
        ).decode()

    def digest(self) -> str:
        """SHA-256 over all of it."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()


_ROSTER = TypeAdapter(Roster)


def parse_roster(text: str) -> Roster:
    """The roster in a text. Raises ValueError for anything else.

    >>> parse_roster(Roster("study:1", 1, {"a": "0" * 64}).to_text()).number
    1
    """
    try:
        found = _ROSTER.validate_json(text)
    except ValidationError:
        raise ValueError("expected a roster as `ceus-coordinator roster` writes it, found other text") from None
    if not is_printable([found.federation, *found.sites]):
        raise ValueError("expected printable names in a roster, found control characters")
    return found
