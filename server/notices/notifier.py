"""Looks at the federation every few seconds, compares, and tells: one step after another, each written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.liveness.moment import Moment, read_clock
from ceus_models.runtime.supervisor import EventLog
from server.federation.federation_file import Federation
from server.notices.changes import Change, find_changes
from server.notices.damping import damp
from server.notices.delivery import DeliveryError, deliver, list_ways
from server.notices.facts import observe
from server.notices.message import Message, compose
from server.notices.notices_file import Notices, Recipient
from server.notices.outbox import Outbox, Parcel, read_outbox, write_outbox
from server.operations.snapshot import Snapshot, take_snapshot
from server.run_folder.paths import Home

_LOOK_S = 10.0
_REST = 20.0
"""So many times as long as a look takes it rests, as the log of a long run takes long to read."""
Look = Callable[[], Snapshot]
Clock = Callable[[], Moment]


@dataclass
class Notifier:
    """Call `step` about every second. look: takes a snapshot · clock: the time, and that of the messages."""

    home: Home
    notices: Notices
    address: str
    told: EventLog
    look: Look
    clock: Clock = read_clock
    _outbox: Outbox = field(init=False)
    _due: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Go on from where the last one ended."""
        self._outbox = read_outbox(self.home)

    def step(self) -> None:
        """Compare if it is time, then try one delivery."""
        begun = time.monotonic()
        if begun >= self._due:
            self._compare()
            self._due = time.monotonic() + max(_LOOK_S, _REST * (time.monotonic() - begun))
        self._deliver_next()

    def _compare(self) -> None:
        try:
            seen = self.look()
        except ExpectedError as error:
            self.told({"event": "trouble", "said": str(error)})
            return
        now, old = self.clock(), self._outbox
        facts = observe(old.facts, seen, self.address, now)
        found = find_changes(old.facts, facts, self.notices.gone_after_minutes * 60.0)
        held, changes = damp(old.held, found, now)
        parcels = tuple(_address(self.notices.people, changes, seen.validity.identity, now.at))
        changed = old.model_copy(update={"facts": facts, "held": held}).forget(now.at).put(parcels)
        for change in changes:
            self.told({"event": "notice", "kind": change.kind, "about": change.about})
        self._save(changed)

    def _deliver_next(self) -> None:
        now = self.clock().at
        parcel = self._outbox.find_due(now)
        if parcel is None:
            return
        person = next((one for one in self.notices.people if one.name == parcel.person), None)
        try:
            if person is None:
                raise DeliveryError("notices.yaml names this person no more", final=True)
            deliver(self.home, self.notices, person, parcel.way, parcel.message)
        except DeliveryError as error:
            failed = {"event": "undelivered", "person": parcel.person, "way": parcel.way, "said": str(error)}
            self.told({**failed, "final": error.final})
            self._save(self._outbox.note_failure(parcel, str(error), error.final, now))
            return
        self.told({"event": "delivered", "person": parcel.person, "way": parcel.way, "id": parcel.message.id})
        self._save(self._outbox.note_delivery(parcel))

    def _save(self, outbox: Outbox) -> None:
        """Write what has changed but for the time. On a full disk the notices go on, and a restart may repeat some."""
        before, self._outbox = self._outbox, outbox
        if _without_time(outbox) == _without_time(before):
            return
        try:
            write_outbox(self.home, outbox)
        except OSError as error:
            self.told({"event": "trouble", "said": f"{self.home.outbox} cannot be written: {error.strerror}"})


def make_notifier(home: Home, federation: Federation, notices: Notices, told: EventLog) -> Notifier:
    """A notifier of a coordinator's folder. Raises ExpectedError where its file is damaged."""
    return Notifier(home, notices, federation.address, told, lambda: take_snapshot(home, federation))


def _without_time(outbox: Outbox) -> Outbox:
    facts = outbox.facts and outbox.facts.model_copy(update={"at": Moment(0.0)})
    return outbox.model_copy(update={"facts": facts})


def _address(people: Sequence[Recipient], changes: Sequence[Change], federation: str, at: float) -> list[Parcel]:
    """One message a person, with what that person wants to know; the same for all who want the same."""
    made: dict[tuple[Change, ...], Message] = {}
    parcels = []
    for person in people:
        wanted = tuple(change for change in changes if person.wants(change.kind))
        if not wanted:
            continue
        message = made.setdefault(wanted, compose(wanted, federation, at))
        parcels += [Parcel(message=message, person=person.name, way=way) for way in list_ways(person)]
    return parcels
