"""Lesions whose images, curve and clinical variables tell their type, more or less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from toy_lesions import lesion

from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import DISEASE_TYPES, LESION_TYPES


def typed_lesion(number: int, cohort: str, noise: float = 0.7) -> Sample:
    """A lesion whose middle brightens, whose wash-out and whose AFP rise with its type's number."""
    rng = np.random.default_rng([number, len(cohort)])
    types = LESION_TYPES if cohort not in ("training_a", "validation") else DISEASE_TYPES
    place = int(rng.integers(len(types)))
    made = lesion(number, cohort, types[place])
    told = place + rng.normal(0, noise)
    frames = made.frames.astype(np.float64) / 2
    frames[:, 5:11, 5:11] += 20 * told
    clinical = made.clinical.copy()
    clinical[7] = told + rng.normal(0, noise)
    quality = {"t0": 12.0, "PE": 100.0, "WoR": 2.0 * told, "WiR": 30.0}
    return replace(made, frames=frames.clip(0, 255).astype(np.uint8), clinical=clinical, quality=quality)


def typed_lesions(cohort: str, count: int, first: int = 0) -> Sequence[Sample]:
    return [typed_lesion(first + number, cohort) for number in range(count)]
