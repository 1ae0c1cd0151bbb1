"""Where a site's audit stands, as its answers say it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

EntryHash = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
"""The hash of an entry of an audit, "" for none."""
MachineId = Annotated[str, Field(pattern="^([0-9a-f]{16})?$")]
"""A machine's own id, hashed with the site's name; "" where the machine has none."""
_STRICT = ConfigDict(extra="forbid")


@checked(frozen=True, config=_STRICT)
class AuditMark:
    """Where a site's audit stood when it made an answer, so that an older copy of it is noticed.

    Args:
        number: of the last entry.
        head: hash of it, which stands on all entries before.
        restored: hash of the last entry in which the hospital said that its records came back from a copy.
        machine: that made the answer.
    """

    number: Annotated[int, Field(ge=0, lt=1 << 53)]
    head: EntryHash
    restored: EntryHash = ""
    machine: MachineId = ""


@checked(frozen=True, config=_STRICT)
class LastAnswer:
    """What the coordinator has of a site's last answer, which the site compares with its own records.

    Args:
        head: of its audit.
        machine: that made it.
    """

    head: EntryHash
    machine: MachineId = ""
