"""What a plan's levels of protection need, as faults of the plan's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.protocol.privacy.secure_session import LEAST_SITES, SECURE_LEVELS
from ceus_models.runtime.errors import Fault
from ceus_models.runtime.yaml_lines import make_fault_at
from ceus_models.study.cohorts import CENTERS, can_hold

_STATISTICS = {"cohorts": ("training_a",), "fusion_cohorts": ("training_b",)}
"""Defaults of that stage."""


def check_levels(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Each stage whose secure sum could never have enough sites. values: of the whole plan, not yet validated."""
    stages, simulation = values.get("stages"), values.get("simulation")
    listed = simulation.get("centers") if isinstance(simulation, dict) else None
    centers = [c for c in listed if isinstance(c, int)] if isinstance(listed, list) else list(CENTERS)
    for index, stage in enumerate(stages if isinstance(stages, list) else ()):
        if not isinstance(stage, dict) or stage.get("level") not in SECURE_LEVELS:
            continue
        for key, cohorts in _list_rounds(stage):
            able = [center for center in centers if any(can_hold(center, cohort) for cohort in cohorts)]
            if len(able) < LEAST_SITES:
                rule = (
                    f"a secure sum has {LEAST_SITES} sites at least, and any center of {', '.join(cohorts)} can be one"
                )
                found = f"only {', '.join(map(str, able))}" if able else "none"
                yield make_fault_at(("stages", index, key), rule, found, "add cohorts or centers, or set level: none")


def _list_rounds(stage: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The cohorts that are asked together, with the key where they stand."""
    asked = {**(_STATISTICS if stage.get("stage") == "statistics" else {}), **stage}
    parts = [asked.get(key) for key in _STATISTICS]
    yield "cohorts", tuple(str(c) for part in parts if isinstance(part, list | tuple) for c in part)
    validation = stage.get("validate")
    if isinstance(validation, dict):
        cohorts = validation.get("cohorts", ("validation",))
        yield "validate", tuple(map(str, cohorts)) if isinstance(cohorts, list | tuple) else ()
