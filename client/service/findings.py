"""What a look at the site found: one line each, and the remedy where it is a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ceus_models.runtime.errors import ExpectedError

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """name: of what was looked at · state: a note is worth reading and stops nothing · remedy: "" where all is well."""

    name: str
    state: State
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", found)


def note(name: str, found: str, remedy: str) -> Finding:
    """It works, and could be better."""
    return Finding(name, "note", found, remedy)


def fault(name: str, found: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(name, "fault", found, remedy)


Look = Callable[[], Finding]


def looked(looks: Sequence[tuple[str, Look]]) -> Iterator[Finding]:
    """Each finding as it comes. An expected error is a fault with its own words; of any other only the type is told."""
    for name, look in looks:
        try:
            yield look()
        except ExpectedError as error:
            yield fault(name, "it cannot be used", str(error))
        except Exception as error:
            yield fault(name, f"the look itself failed ({type(error).__name__})", "report it, with this line")
