"""Snapshots of a federation, made of what a test changes in them, and a clock that is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ceus_models.runtime.liveness.moment import Moment
from server.federation.expiry import Line, Validity
from server.operations.liveness import Trouble
from server.operations.overview import Overview, SiteStatus
from server.operations.snapshot import Snapshot
from server.run_folder.orders import State

START_S = 1_800_000_000.0
MINUTE_S = 60.0


def at(seconds: float) -> Moment:
    """So long after the begin."""
    return Moment(START_S + seconds, 1000.0 + seconds, "boot")


@dataclass
class World:
    """What a federation of three sites shows; a test changes it, and takes a snapshot."""

    phase: Any = "running"
    cause: str = ""
    order: str = "first"
    trouble: str = ""
    study: str = "liver"
    online: dict[str, bool | None] = field(default_factory=lambda: {f"site-0{n}": True for n in (1, 2, 3)})
    days: dict[str, int] = field(default_factory=lambda: {"front door": 300, "site-01": 200})
    moved: tuple[str, ...] = ()
    withdrawn: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    rounds: list[Mapping[str, Any]] = field(default_factory=list)

    def add_round(self, **fates: Mapping[str, str]) -> None:
        """A finished round of training: fate → site → reason."""
        number = len(self.rounds)
        empty: dict[str, Any] = {"refused": {}, "excluded": {}, "lost": {}}
        self.rounds.append({**empty, "stage": "submodels", "kind": "train", "round": number, **fates})

    def snapshot(self) -> Snapshot:
        sites = {
            name: SiteStatus(connected=on, withdrawn=self.withdrawn.get(name, 0), alarm=self.alarms.get(name, ""))
            for name, on in self.online.items()
        }
        trouble = Trouble(self.trouble, 0.0, 1.0) if self.trouble else None
        state = State(order=self.order, phase=self.phase, cause=self.cause)
        seen = Overview(True, state, {}, sites, tuple(self.rounds), trouble, study=self.study)
        lines = [Line(name, "ok", "", "", days, "") for name, days in self.days.items()]
        lines += [Line(name, "moved", "", "", 99, "") for name in self.moved]
        servers = tuple(line for line in lines if not line.name.startswith("site"))
        others = tuple(line for line in lines if line.name.startswith("site"))
        return Snapshot(Validity("lab:abc", servers, others), True, {self.study: seen})
