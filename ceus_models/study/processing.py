"""The processing settings from clip to sample, which all sites must share, and their digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ceus_models.runtime.errors import ExpectedError

VERSION = 3
"""Increased when the same settings would give other samples, so that sites of two versions never mix."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Processing:
    """Settings of the path from clip to sample (study: 80 + 20 key frames, 10 flow maps, 20 px margin)."""

    frames_to_peak: int = 80
    frames_after: int = 20
    size: int = 112
    flow_maps: int = 10
    flow_size: int = 112
    flow_bound_px: float = 5.0
    margin_px: float = 20.0
    correlation_gate: float = 0.5
    max_shift_px: float = 24.0
    smoothing_s: float = 2.0
    linearise: bool = True
    dynamic_range_db: float = 60.0

    @property
    def frames(self) -> int:
        """Key frames per lesion."""
        return self.frames_to_peak + self.frames_after

    def digest(self) -> str:
        """SHA-256 over the settings and the version of the processing code."""
        text = json.dumps({"version": VERSION, **dataclasses.asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_processing(plan: Path) -> Processing:
    """Read the `processing` section of a plan file; absent settings have the study's values.

    Raises:
        ExpectedError: with all faults of the section.
    """
    try:
        document = yaml.safe_load(plan.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ExpectedError(
            f"expected a plan in YAML, {plan} cannot be read ({type(error).__name__}); give a plan file"
        ) from None
    section = document.get("processing", {}) if isinstance(document, dict) else {}
    try:
        return TypeAdapter(Processing).validate_python(section)
    except ValidationError as error:
        faults = "; ".join(f"processing.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ExpectedError(f"{plan}: {faults}") from None
