"""Who took part in a round. Success on a part of the sites is never silent: every round leaves one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ceus_models.runtime.errors import ExpectedError

Fate = Literal["counted", "idle", "refused", "excluded", "lost"]
"""What became of a site in a round: its sums were added · it has nothing to add · it said no · it was screened out ·
no answer of it arrived."""

FAULTS = 3
"""So many rounds in a row without a sum of a site, and somebody must look at it."""


@dataclass(frozen=True)
class Quorum:
    """When a round may count: the share of sites with something to add that must, and sites that must in any case."""

    share: float = 0.8
    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a share outside 0-1."""
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share must be between 0 and 1, not {self.share}")


@dataclass(frozen=True)
class Record:
    """One round: every asked site is counted, idle, refused, excluded or lost (the last three with the reason).

    norms: per net the median over counted sites of the norm of change per local step; it is the yardstick of the
    next round's screening · seconds: from the question to the absorbed total.
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


def require(record: Record, quorum: Quorum) -> None:
    """Let the round pass, or raise ExpectedError that names every site that is missing, with its reason."""
    missing = {**record.lost, **record.refused, **record.excluded}
    expected = len(record.counted) + len(missing)
    if record.kind == "hello":
        missing |= {site: "not registered" for site in quorum.required if site not in record.registered}
    absent = [site for site in quorum.required if site in missing]
    enough = len(record.counted) >= quorum.share * expected and (expected > 0 or record.kind != "hello")
    if enough and not absent:
        return
    names = "; ".join(f"{site}: {reason}" for site, reason in sorted(missing.items())) or "no site is registered"
    rule = (
        f"{', '.join(absent)} must take part"
        if absent
        else f"at least {quorum.share:.0%} of {expected} sites must be counted, {len(record.counted)} were"
    )
    raise ExpectedError(
        f"{record.stage}, {record.kind} round {record.round}: {rule} ({names}). "
        "Mend these sites and start the same command again: it goes on from the last saved round."
    )


def to_be_looked_at(records: Sequence[Record]) -> dict[str, str]:
    """Sites that gave nothing in the last three or more rounds in which they were asked, with the latest reason."""
    faults: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for record in records:
        bad = {**record.lost, **record.excluded, **record.refused}
        for site in record.asked:
            faults[site] = faults.get(site, 0) + 1 if site in bad else 0
        reasons |= bad
    return {site: f"{count} rounds in a row: {reasons[site]}" for site, count in faults.items() if count >= FAULTS}
