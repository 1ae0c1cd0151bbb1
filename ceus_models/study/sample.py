"""The sample: one lesion as the nets see it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Reading(NamedTuple):
    """One reader's diagnosis of a lesion.

    Args:
        reader: code or name, which never leaves the site.
        role: one of `reader_study.ROLES`.
        assisted: whether the reader saw the model's result.
        diagnosis: one of LESION_TYPES.
        confidence: one of `reader_study.CONFIDENCE`, None where not recorded.
        seconds: time that the reading took, None where not recorded.
    """

    reader: str
    role: str
    assisted: bool
    diagnosis: str
    confidence: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """One lesion without identifiers: pseudonyms for ids, crops for screens.

    Args:
        key: pseudonym of the lesion.
        patient: pseudonym of the patient.
        cohort: one of COHORTS.
        frames: (t h w) contrast levels 0-255 at the key frames.
        flow: (n 2 h w) optical flow; u, v in px = value * flow_scale.
        flow_scale: px per unit of `flow`.
        curve: (t) linearised mean of the lesion at the key frames, peak = 1.
        clinical: (variables) transformed values in the order of `taxonomy.CLINICAL`, NaN = not recorded.
        biomarkers: (4) 0, 1 or NaN = not tested.
        label: lesion type, None = unknown.
        groups: subgroup variable → value.
        quality: figure of quality → value.
        readings: of `reads.csv`, () where it lacks the lesion.
    """

    key: str
    patient: str
    cohort: str
    frames: npt.NDArray[np.uint8]
    flow: npt.NDArray[np.int8]
    flow_scale: float
    curve: npt.NDArray[np.float32]
    clinical: npt.NDArray[np.float32]
    biomarkers: npt.NDArray[np.float32]
    label: str | None
    groups: Mapping[str, str] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 of the sub-models' inputs; it changes with a corrected outline."""
        sha = hashlib.sha256()
        for part in (self.frames.tobytes(), self.flow.tobytes(), np.float64(self.flow_scale).tobytes()):
            sha.update(len(part).to_bytes(8, "little") + part)
        return sha.hexdigest()
