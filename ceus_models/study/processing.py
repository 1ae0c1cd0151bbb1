"""The processing settings from clip to sample, which all sites must share, and their digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import list_faults, read_yaml_with_lines
from ceus_models.study.inclusion import Inclusion

_SECTION = "processing"
VERSION = 5
"""Increased when the same settings would give other samples, so that sites of two versions never mix."""
LEAST_SIDE = 17
"""px. Of smaller images the last layer sees one cell, for which oneDNN leaves bfloat16 gradients unwritten
(docs/decisions.md)."""


def _large_enough(side: int) -> int:
    """Raises ValueError for images below LEAST_SIDE."""
    if side < LEAST_SIDE:
        raise ValueError(f"an image must have {LEAST_SIDE} px a side or more, not {side}; make it larger")
    return side


_Side = Annotated[int, AfterValidator(_large_enough)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Processing:
    """Settings of the path from clip to sample (study: 80 + 20 key frames, 10 flow maps, 20 px margin).

    Args:
        start: where the key frames begin: with the arrival of contrast in the lesion or around it, or with the clip.
        inclusion: which lesions become samples.
    """

    frames_to_peak: int = 80
    frames_after: int = 20
    start: Literal["arrival", "clip"] = "arrival"
    size: _Side = 112
    flow_maps: int = 10
    flow_size: _Side = 112
    flow_bound_px: float = 5.0
    margin_px: float = 20.0
    correlation_gate: float = 0.5
    max_shift_px: float = 24.0
    smoothing_s: float = 2.0
    linearise: bool = True
    dynamic_range_db: float = 60.0
    inclusion: Inclusion = field(default_factory=Inclusion)

    @property
    def frames(self) -> int:
        """Key frames per lesion."""
        return self.frames_to_peak + self.frames_after

    def digest(self) -> str:
        """SHA-256 over the settings and the version of the processing code."""
        text = json.dumps({"version": VERSION, **dataclasses.asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def digest_of_sample(self) -> str:
        """The digest without the rules of inclusion, which change no sample."""
        return dataclasses.replace(self, inclusion=Inclusion()).digest()


def parse_processing(plan: Mapping[str, Any]) -> Processing:
    """The processing settings among a plan's values. Raises ExpectedError where they are not of this version."""
    try:
        return TypeAdapter(Processing).validate_python(plan.get(_SECTION, {}))
    except ValidationError:
        raise ExpectedError(
            "expected processing settings of this version of fedceus in the plan, found others; install the same "
            "version as the coordinator"
        ) from None


def load_processing(plan: Path) -> Processing:
    """Read the `processing` section of a plan file; absent settings have the study's values.

    Raises:
        FaultList: every fault of the section, with its line.
    """
    document = read_yaml_with_lines(plan, "bad-plan-file")
    section = document.values.get(_SECTION, {}) if isinstance(document.values, dict) else {}
    try:
        return TypeAdapter(Processing).validate_python(section)
    except ValidationError as error:
        raise document.error(list_faults(error, above=(_SECTION,))) from None
