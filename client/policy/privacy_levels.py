"""The levels of protection that a hospital wants, and how much of a patient's privacy may be spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ceus_models.protocol.messages import Kind, Level

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
_Digest = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]


LEVELS: tuple[Level, ...] = get_args(Level)
LEVEL_OF: Mapping[Kind, str] = {"tally": "statistics", "train": "training", "evaluate": "evaluation"}
"""Kind of task → the field with its least level."""
WITHOUT_LEVEL: tuple[Kind, ...] = ("hello", "offer", "unmask")
"""Numbers of lesions to begin with, and steps of a secure sum, whose own task has the level."""


@dataclass(frozen=True, config=_CONFIG)
class PrivacyLevels:
    """The least that is answered by kind of task, and what a patient may lose at most (docs/privacy.md).

    Attributes:
        training: Level of training tasks.
        statistics: Level of tallies.
        evaluation: Level of evaluations, those within training included.
        bound_to_plan: Whether only what the approved plan asks is answered, each round once.
        minimum_sites: Sites in any secure sum that is opened.
        alone: Whether secure sums without noise are answered for cohorts that only this center can have.
        roster: Digest of the list of sites and keys that two people approved, "any" for any list.
        colluding: Other sites whose share of the noise does not count.
        epsilon: Of one patient in one study.
        lifetime_epsilon: Of one patient over all studies.
        delta: Of both.
    """

    training: Level = "distributed"
    statistics: Level = "sums"
    evaluation: Level = "sums"
    bound_to_plan: Annotated[bool, Field(strict=True)] = True
    minimum_sites: Annotated[int, Field(strict=True, ge=3)] = 8
    alone: Annotated[bool, Field(strict=True)] = False
    roster: Literal["any"] | _Digest = "any"
    colluding: Annotated[int, Field(strict=True, ge=0)] = 2
    epsilon: Annotated[float, Field(gt=0)] = 3.0
    lifetime_epsilon: Annotated[float, Field(gt=0)] = 6.0
    delta: Annotated[float, Field(gt=0, lt=1e-2)] = 1e-5

    def list_risks(self) -> Iterator[tuple[str, str]]:
        """Each number looser than the safe one: its name, and what it gives up."""
        safe = PrivacyLevels()
        for name in ("epsilon", "lifetime_epsilon", "delta"):
            if getattr(self, name) > getattr(safe, name):
                yield (
                    f"privacy.{name}",
                    f"above {getattr(safe, name):g}, a patient can lose more than the noise should allow",
                )
        if self.colluding < safe.colluding:
            yield (
                "privacy.colluding",
                f"fewer than {safe.colluding} other sites may tell their noise, or the bound is wrong",
            )
        if self.alone:
            yield "privacy.alone", "of a cohort that only this hospital has, the sum is this hospital's own numbers"
        if self.minimum_sites < safe.minimum_sites:
            yield "privacy.minimum_sites", f"sums over fewer than {safe.minimum_sites} hospitals are opened"

    def find_level(self, kind: Kind) -> Level:
        """The least level of a kind of task."""
        level: Level = "none" if kind in WITHOUT_LEVEL else getattr(self, LEVEL_OF[kind])
        return level
