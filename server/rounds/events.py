"""What the study's loop tells: a round begins, a site is done, a round is absorbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ceus_models.plan.progress import CurvePoint
from ceus_models.plan.terms.participation import Fate, RoundRecord


@dataclass(frozen=True)
class Started:
    """A round begins: number `step` + 1 of the stage's `steps`."""

    stage: str
    kind: str
    round: int
    step: int
    steps: int
    nets: tuple[str, ...]
    sites: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """A site has an outcome: it is number `done` of `asked` sites."""

    stage: str
    round: int
    site: str
    fate: Fate
    reason: str
    done: int
    asked: int


@dataclass(frozen=True)
class Finished:
    """A round is complete. points: its new points of the learning curves."""

    record: RoundRecord
    step: int
    steps: int
    points: tuple[CurvePoint, ...]


Event = Started | Answered | Finished
Listener = Callable[[Event], None]
