"""What the service looks after while its processes run: a stuck worker, a cut line, a new kit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ceus_models.pki.certificates import EXPIRY_WARNING
from ceus_models.pki.enrolment import Kit, utc_now
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from ceus_models.runtime.liveness.moment import Moment, compute_age, read_clock
from client.courier.connectivity import ProbeResult, probe_coordinator
from client.courier.folder import CourierFolder
from client.courier.ipc import WorkerUnreachableError, read_status
from client.courier.kit import load_kit

ABANDONED_S = 600.0
"""A worker that works for so long on a task whose courier has gone is started anew."""
SILENT_S = 60.0
"""And so is one that answered before and no longer says what it does."""
CONTACT_S = 90.0
"""A SuperNode is heard every three seconds, or every 22 while it carries a message."""
_PROBE_PAUSE_S = 60.0
_DAY_S = 86_400.0

Told = Callable[[Mapping[str, object]], None]


Probe = Callable[[Kit, CourierFolder], ProbeResult]


def probe_kit(kit: Kit, courier: CourierFolder) -> ProbeResult:
    """Ask the coordinator's front door once."""
    return probe_coordinator(kit.address, courier.ca, utc_now())


class Keeper(Protocol):
    """What a watch may do to a process."""

    def is_running(self, name: str) -> bool:
        """Whether it lives."""
        ...

    def restart(self, name: str, why: str) -> None:
        """End it, so that it is started again."""
        ...


class Watch(Protocol):
    """Looks every few seconds. is_well: as far as it sees the site can answer."""

    is_well: bool

    def look(self, keeper: Keeper) -> None:
        """Look now."""
        ...


@dataclass
class WorkerWatch:
    """Has a worker started anew that is stuck, or works for nobody."""

    socket: Path
    told: Told
    ask: Callable[[Path], dict[str, Any]] = read_status
    clock: Callable[[], float] = time.monotonic
    is_well: bool = field(default=False, init=False)
    _heard: float | None = field(default=None, init=False)

    def look(self, keeper: Keeper) -> None:
        """Ask it what it does."""
        if not keeper.is_running("worker"):
            self._heard, self.is_well = None, False
            return
        try:
            status = self.ask(self.socket)
        except WorkerUnreachableError:
            self.is_well = False
            if self._heard is not None and self.clock() - self._heard > SILENT_S:
                self._restart(keeper, f"it has not said what it does for {SILENT_S:.0f} s")
            return  # one that was never heard may still be reading its samples
        self._heard, self.is_well = self.clock(), not status["wrong"]
        if status["alone_s"] > ABANDONED_S:
            self._restart(keeper, f"it works on a task that nobody has waited for since {ABANDONED_S:.0f} s")

    def _restart(self, keeper: Keeper, why: str) -> None:
        self._heard, self.is_well = None, False
        keeper.restart("worker", why)


@dataclass
class LineWatch:
    """Tells why the coordinator is not heard, once a cause."""

    courier: CourierFolder
    told: Told
    probe: Probe = probe_kit
    clock: Callable[[], Moment] = read_clock
    is_well: bool = field(default=False, init=False)
    _began: Moment = field(init=False)
    _probed: Moment | None = field(default=None, init=False)
    _said: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Contact before the start does not count."""
        self._began = self.clock()

    def look(self, keeper: Keeper) -> None:
        """Look how old the last contact is."""
        now = self.clock()
        contact = Heartbeat(self.courier.contact).last()
        up_s = compute_age(self._began, now) or 0.0
        age = compute_age(contact.at, now) if contact else None
        heard_s = up_s if age is None or age >= up_s else age
        self.is_well = heard_s < up_s and heard_s < CONTACT_S
        if self.is_well:
            self._tell("the coordinator answers")
        elif (heard_s > CONTACT_S or not keeper.is_running("node")) and self._may_probe(now):
            self._probed = now
            self._tell(self._cause())

    def _may_probe(self, now: Moment) -> bool:
        return self._probed is None or (compute_age(self._probed, now) or 0.0) > _PROBE_PAUSE_S

    def _cause(self) -> str:
        try:
            found = self.probe(load_kit(self.courier, utc_now()), self.courier)
        except ExpectedError as error:
            return str(error)
        if found.fault:
            return str(found)
        return (
            "the coordinator's front door answers, and does not let this site in: the site was ended less than a "
            "minute ago (that passes by itself), or its key was revoked or is not known there: ask the coordinator"
        )

    def _tell(self, what: str) -> None:
        if what != self._said:
            self.told({"event": "coordinator", "said": what})
            self._said = what


@dataclass
class KitWatch:
    """Starts the SuperNode anew with a new key or address, and tells of a certificate or an address that ends soon."""

    courier: CourierFolder
    told: Told
    clock: Callable[[], float] = time.monotonic
    probe: Probe = probe_kit
    is_well: bool = field(default=True, init=False)
    _seen: object = field(default=None, init=False)
    _due: float = field(default=0.0, init=False)
    _joined: tuple[bytes, str] | None = field(default=None, init=False)
    _said: tuple[str, float] = field(default=("", 0.0), init=False)

    def look(self, keeper: Keeper) -> None:
        """Read the kit where it is another file than at the last look, and once a day."""
        try:
            stamp = (self.courier.kit.stat().st_mtime_ns, self.courier.key.stat().st_mtime_ns)
            if stamp == self._seen and self.clock() < self._due:
                return
            kit = load_kit(self.courier, utc_now())
            joined = (self.courier.key.read_bytes(), kit.address)
        except (ExpectedError, OSError) as error:
            self._say_daily(str(error) if isinstance(error, ExpectedError) else "the kit cannot be read")
            return
        if self._joined not in (None, joined):
            keeper.restart("node", "a kit with a new key or address was installed")
        self._seen, self._due, self._joined = stamp, self.clock() + _DAY_S, joined
        if kit.expires - utc_now() <= EXPIRY_WARNING:
            self._say_daily(f"the site's certificate ends on {kit.expires:%Y-%m-%d}; ask the coordinator for a new kit")
        elif moved := self.probe(kit, self.courier).moved:
            self._say_daily(f"{moved}; ask the coordinator for the new kit, and join with it")

    def _say_daily(self, what: str) -> None:
        said, at = self._said
        if what != said or self.clock() >= at + _DAY_S:
            self._said = (what, self.clock())
            self.told({"event": "kit", "said": what})
