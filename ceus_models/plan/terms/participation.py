"""Which sites took part in a round: one record for every round, and the quorum that a round needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge

from ceus_models.runtime.errors import ExpectedError

Fate = Literal["counted", "idle", "refused", "excluded", "lost"]
"""Outcome of a site in a round: its sums were added; it has no data for the task; it refused the task; screening
rejected its answer; no answer arrived."""

USUAL_SITES = 3
"""Of fewer hospitals' sums, one hospital can work out the other's."""
FAULTS = 3
"""A site without a counted answer in this many consecutive rounds needs attention."""


@dataclass(frozen=True)
class Quorum:
    """What a round needs to count.

    Args:
        share: of the sites that have data for the task, how many must be counted (0-1).
        required: sites that must be counted in every round.
        sites: how many must be counted at least.
        stages: stage → how many must be counted at least, where that differs from `sites`.
    """

    share: float = 0.8
    required: tuple[str, ...] = ()
    sites: Annotated[int, Ge(1)] = USUAL_SITES
    stages: Mapping[str, Annotated[int, Ge(1)]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for a share outside 0-1."""
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share must be between 0 and 1, not {self.share}")

    def least(self, stage: str) -> int:
        """How many sites must be counted at least in each round of a stage.

        >>> Quorum(stages={"fusion": 1}).least("fusion"), Quorum().least("fusion")
        (1, 3)
        """
        return self.stages.get(stage, self.sites)


@dataclass(frozen=True)
class RoundRecord:
    """One round: every asked site is counted, idle, refused, excluded or lost (the last three with the reason).

    Args:
        norms: per net, the median over counted sites of the norm of change per local step (of a secure sum, the norm of
            the mean change); the next round's screening compares with it.
        clipped: of a secure sum: net → sites that scaled their change down to the bound.
        seconds: from sending the task to the updated net.
        sent, received: bytes of all encoded messages to and from the asked sites, each counted once however often the
            transport sent it.
        software: of the sites that stated it in hello.
    """

    stage: str
    kind: str
    round: int
    registered: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    norms: Mapping[str, float] = field(default_factory=dict)
    clipped: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    received: int = 0
    software: Mapping[str, str] = field(default_factory=dict)


def check_quorum(record: RoundRecord, quorum: Quorum) -> None:
    """Raise ExpectedError, with every missing site and its reason, if the round misses its quorum.

    >>> check_quorum(RoundRecord("s", "train", 3, counted=("a", "b", "c", "d"), lost={"e": "no answer"}), Quorum(0.8))
    """
    missing = {**record.lost, **record.refused, **record.excluded}
    expected = len(record.counted) + len(missing)
    if record.kind == "hello":
        missing |= {site: "not registered" for site in quorum.required if site not in record.registered}
    absent = [site for site in quorum.required if site in missing]
    counted, least = len(record.counted), quorum.least(record.stage)
    if counted >= max(least, quorum.share * expected) and not absent:
        return
    names = "; ".join(f"{site}: {reason}" for site, reason in sorted(missing.items())) or "no other has data"
    if absent:
        rule = f"{', '.join(absent)} must take part"
    elif counted < least:
        rule = f"at least {least} sites must be counted, {counted} were"
    else:
        rule = f"at least {quorum.share:.0%} of {expected} sites must be counted, {counted} were"
    raise ExpectedError(
        f"{record.stage}, {record.kind} round {record.round}: {rule} ({names}). "
        "Repair these sites, then run the same command again: it continues from the last saved round."
    )


def list_silent_sites(records: Sequence[RoundRecord]) -> dict[str, str]:
    """Sites without a counted answer in their last three or more rounds, with the latest reason."""
    faults: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for record in records:
        bad = {**record.lost, **record.excluded, **record.refused}
        for site in record.asked:
            faults[site] = faults.get(site, 0) + 1 if site in bad else 0
        reasons |= bad
    return {site: f"{count} rounds in a row: {reasons[site]}" for site, count in faults.items() if count >= FAULTS}
