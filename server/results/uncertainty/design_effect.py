"""How much wider intervals are because lesions of one patient are alike: the design effect, from sums.

Sites declare lesions and patients of each cohort, so their quotient is known, and how the sizes spread is not. They are
taken to fall geometrically: a lesion then is of a patient with 1 + 2 (lesions / patients - 1) lesions on average. The
design effect is 1 + (that - 1) · correlation (Kish 1965; Donner & Klar 2000), by which a variance is larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ceus_models.plan.progress import Progress

CORRELATION = 0.5
"""Assumed between the answers to two lesions of a patient, because no sum says it. 1, the most there can be, would
double what the design effect has above 1."""


@dataclass(frozen=True)
class Clusters:
    """Lesions of a cohort or pool, and their patients; patients of a pool are added, as sums cannot tell them apart."""

    lesions: int = 0
    patients: int = 0

    @property
    def lesions_of_patient(self) -> float:
        """How many lesions the patient of a lesion has, on average over lesions.

        >>> Clusters(110, 100).lesions_of_patient
        1.2
        """
        if not 0 < self.patients <= self.lesions:
            return 1.0
        return 1 + 2 * (self.lesions - self.patients) / self.patients

    @property
    def effect(self) -> float:
        """The design effect of one answer to each lesion.

        >>> Clusters(110, 100).effect
        1.1
        """
        return 1 + (self.lesions_of_patient - 1) * CORRELATION

    def plain(self) -> dict[str, Any]:
        """What results.json says of it."""
        counted = {"lesions": self.lesions, "patients": self.patients}
        return counted | {"correlation": CORRELATION, "effect": self.effect}


def repeat_answers(effect: float, answers: float) -> float:
    """The design effect where each lesion is answered `answers` times, from that of one answer.

    >>> round(repeat_answers(1.1, 3.0), 2)
    2.3
    """
    of_patient = 1 + (effect - 1) / CORRELATION
    return 1 + (answers * of_patient - 1) * CORRELATION


def count_clusters(progress: Progress, cohorts: Sequence[str]) -> Clusters:
    """Lesions and patients that the sites declared of these cohorts."""
    lesions = sum(progress.count_lesions(site, tuple(cohorts)) for site in progress.counts)
    return Clusters(lesions, progress.count_patients(progress.counts, tuple(cohorts)))
