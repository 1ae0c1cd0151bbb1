"""One attack at one level: fresh sites, an honest greeting, the attack, and what it found."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from client.worker.site.site import Site
from sim.attacks.catalogue import Attack
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.facts import Fact


@dataclass(frozen=True)
class Outcome:
    """What an attack found at a level.

    Args:
        code: of the refusal that ended it, "" for none.
        recovered: facts found out.
        of: facts.
        note: what else was measured.
        bound: what an audit shows ε to be at least.
        claim: what the plan promises ε to be at most.
        answers: how the sites answered, by code of refusal.
    """

    attack: str
    level: str
    code: str
    recovered: int
    of: int
    note: str
    bound: float | None
    claim: float | None
    seconds: float
    answers: dict[str, int]

    def describe(self) -> str:
        """The outcome in a cell of a table."""
        refused = f"refused ({self.code})" if self.code else ""
        claim = f"claim {self.claim:.1f}" if self.claim is not None else ""
        return " · ".join(part for part in (f"{self.recovered} of {self.of}", refused, self.note, claim) if part)

    @property
    def breaks_claim(self) -> bool:
        """Whether an audit showed more than the plan promises."""
        return self.bound is not None and self.claim is not None and self.bound > self.claim


def try_attack(attack: Attack, attacker: CuriousCoordinator) -> Outcome:
    """Run an attack against sites that have not been asked anything."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        fresh = replace(attacker, sites=_renew(attacker.sites, Path(folder)), log=[], keys={})
        claimed: Sequence[Fact] = []
        code = ""
        try:
            if attack.greets:
                fresh.greet()
            claimed = attack.recover(fresh)
        except Refused as no:
            code = no.code
        try:
            score = attack.judge(claimed, attack.truth(fresh))
        except Refused:  # nothing here that it could look for
            score = attack.judge([], [])
    seconds = round(time.perf_counter() - began, 2)
    claim = attack.claim(attacker) if attack.claim else None
    found = score.recovered, score.of, score.note, score.bound, claim
    return Outcome(attack.name, attacker.level, code, *found, seconds, dict(Counter(fresh.log)))


def _renew(sites: Sequence[Site], folder: Path) -> list[Site]:
    """The sites without a memory of earlier questions."""
    return [replace(s, memory=folder / s.name, records=folder / s.name / "records") for s in sites]
