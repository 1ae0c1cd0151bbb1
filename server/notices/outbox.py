"""What was told, what is on its way and what was given up: one file, so that a restart neither repeats nor loses."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.notices.damping import Held
from server.notices.facts import Facts
from server.notices.message import Message
from server.run_folder.paths import Home

MOST_WAITING = 200
MOST_FAILED = 20
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 3600.0
GIVE_UP_S = 24 * 3600.0
_FORGET_S = 7 * 24 * 3600.0
_FROZEN = ConfigDict(extra="forbid", frozen=True)


class Parcel(BaseModel):
    """A message to one person by one way. due: when it is tried next · error: of the last try · seconds since 1970."""

    model_config = _FROZEN

    message: Message
    person: str
    way: str
    tries: int = 0
    due: float = 0.0
    error: str = ""

    def describe(self) -> str:
        """For a person who looks whether messages arrive."""
        return f"a notice ({', '.join(self.message.kinds)}) for {self.person} by {self.way}: {self.error}"


class Outbox(BaseModel):
    """facts: what was last compared · held: what is gathered · waiting: on its way · failed: given up, the last few."""

    model_config = _FROZEN

    version: int = 1
    facts: Facts | None = None
    held: Mapping[str, Held] = {}
    waiting: tuple[Parcel, ...] = ()
    failed: tuple[Parcel, ...] = ()

    def put(self, parcels: tuple[Parcel, ...]) -> Outbox:
        """With more on the way; the oldest that do not fit are given up."""
        waiting = (*self.waiting, *parcels)
        lost = [one.model_copy(update={"error": "too many were waiting"}) for one in waiting[:-MOST_WAITING]]
        return self._with(waiting[-MOST_WAITING:], (*self.failed, *lost))

    def find_due(self, now: float) -> Parcel | None:
        """What is to be tried now: one after the other, whoever waited longest first."""
        due = [one for one in self.waiting if one.due <= now or one.due > now + 2 * LONGEST_PAUSE_S]
        return min(due, key=lambda one: one.due, default=None)

    def note_delivery(self, parcel: Parcel) -> Outbox:
        """After it has arrived."""
        return self._with(tuple(one for one in self.waiting if one is not parcel), self.failed)

    def note_failure(self, parcel: Parcel, error: str, final: bool, now: float) -> Outbox:
        """After it has not: tried again later, twice as late each time, or given up."""
        pause = min(SHORTEST_PAUSE_S * 2**parcel.tries, LONGEST_PAUSE_S)
        tried = parcel.model_copy(update={"tries": parcel.tries + 1, "due": now + pause, "error": error})
        if final or now - parcel.message.at > GIVE_UP_S:
            return self._with(tuple(one for one in self.waiting if one is not parcel), (*self.failed, tried))
        return self._with(tuple(tried if one is parcel else one for one in self.waiting), self.failed)

    def forget(self, now: float) -> Outbox:
        """Without what was given up a week ago."""
        return self._with(self.waiting, tuple(one for one in self.failed if now - one.message.at < _FORGET_S))

    def list_undelivered(self) -> list[str]:
        """What has not arrived at the first try."""
        late = [f"{one.describe()}; it is tried again" for one in self.waiting if one.tries]
        return [*late, *(f"{one.describe()}; it was given up" for one in self.failed)]

    def _with(self, waiting: tuple[Parcel, ...], failed: tuple[Parcel, ...]) -> Outbox:
        return self.model_copy(update={"waiting": waiting, "failed": failed[-MOST_FAILED:]})


def read_outbox(home: Home) -> Outbox:
    """Read the file. Raises ExpectedError where it is damaged."""
    try:
        return Outbox.model_validate_json(home.outbox.read_bytes())
    except FileNotFoundError:
        return Outbox()
    except (OSError, ValidationError):
        raise ExpectedError(
            f"{home.outbox} must be readable, found that it is damaged; delete it: what holds now is told anew"
        ) from None


def write_outbox(home: Home, outbox: Outbox) -> None:
    """Write the file. Raises OSError."""
    home.outbox.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(home.outbox, outbox.model_dump_json().encode())
