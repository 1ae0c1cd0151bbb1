"""The complete state of a study. A checkpoint holds exactly this, so a resumed study equals an uninterrupted one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.protocol.messages import Recipe

if TYPE_CHECKING:  # `ceus-coordinator status` reads a study's progress without its nets, and without torch
    from ceus_models.protocol.state import State


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve: the mean loss over `weight` lesions (class-weighted on validation)."""

    stage: str
    round: int
    net: str
    curve: Literal["training", "validation"]
    loss: float
    weight: float


@dataclass(frozen=True, eq=False)
class Progress:
    """Position of the study (`stage` counts stages, `step` the rounds within one) and all its results so far.

    Args:
        frozen: digest of the sub-models that fusion nets use.
        counts: lesions by site and cohort, as declared in hello.
        patients: the same of patients.
        nets: parameters by net.
        memory: state within a stage: "moments|<net>" of the strategy, "best|<net>" and "best_loss|<net>" of validation,
            "average|<net>" of private training.
        totals: sums by stage name.
        curves: points in order of rounds.
        keys: public channel keys of secure sums by site, as declared in hello, in hexadecimal digits.
    """

    stage: int = 0
    step: int = 0
    recipe: Recipe | None = None
    frozen: str = ""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    patients: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    nets: Mapping[str, State] = field(default_factory=dict)
    memory: Mapping[str, State] = field(default_factory=dict)
    totals: Mapping[str, State] = field(default_factory=dict)
    participation: tuple[RoundRecord, ...] = ()
    curves: tuple[CurvePoint, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)

    def advance(self, steps: int, record: RoundRecord) -> Progress:
        """Advance by one round, in a stage of `steps` rounds."""
        done = self.step + 1 >= steps
        return replace(
            self,
            stage=self.stage + done,
            step=0 if done else self.step + 1,
            participation=(*self.participation, record),
        )

    def count_lesions(self, site: str, cohorts: tuple[str, ...]) -> int:
        """Lesions that `site` declared in these cohorts; 0 for a site that was not admitted."""
        held = self.counts.get(site, {})
        return sum(held.get(cohort, 0) for cohort in cohorts)

    def count_evaluating(self, stage: str) -> int:
        """How many sites the total of an evaluation is made of."""
        found = [len(one.counted) for one in self.participation if (one.stage, one.kind) == (stage, "evaluate")]
        return found[-1] if found else 0

    def count_patients(self, sites: Iterable[str], cohorts: tuple[str, ...]) -> int:
        """Patients that these sites declared in these cohorts."""
        return sum(self.patients.get(site, {}).get(cohort, 0) for site in sites for cohort in cohorts)
