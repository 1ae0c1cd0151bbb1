"""How many sites a plan's stages need, as faults of the plan's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.plan.terms.participation import USUAL_SITES
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES, SECURE_LEVELS
from ceus_models.runtime.errors import Fault
from ceus_models.runtime.yaml_lines import make_fault_at
from ceus_models.study.cohorts import CENTERS, can_hold
from ceus_models.study.taxonomy import COHORTS

_DEFAULTS: dict[str, dict[str, Any]] = {
    "hello": {"cohorts": COHORTS},
    "statistics": {"cohorts": ("training_a",), "fusion_cohorts": ("training_b",)},
}
"""Kind of stage → cohorts that it asks unless the plan says otherwise."""


def check_sites(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Each stage that could never have enough sites. values: of the whole plan, not yet validated."""
    stages, simulation = values.get("stages"), values.get("simulation")
    named = [stage if isinstance(stage, dict) else {} for stage in (stages if isinstance(stages, list) else ())]
    quorum = values["quorum"] if isinstance(values.get("quorum"), dict) else {}
    yield from _check_names(quorum, named)
    listed = simulation.get("centers") if isinstance(simulation, dict) else None
    centers = [c for c in listed if isinstance(c, int)] if isinstance(listed, list) else list(CENTERS)
    for index, stage in enumerate(named):
        secure = stage.get("level") in SECURE_LEVELS
        least = max(_read_least(quorum, stage), LEAST_SITES if secure else 1)
        what = "a secure sum has" if secure else "a round of this stage has"
        for key, cohorts in _list_rounds(stage):
            able = [center for center in centers if any(can_hold(center, cohort) for cohort in cohorts)]
            if len(able) < least and set(cohorts) <= set(COHORTS):
                rule = f"{what} {least} sites at least, and any center of {', '.join(cohorts)} can be one"
                found = f"only {', '.join(map(str, able))}" if able else "none"
                remedy = "or set level: none" if secure else f"or state quorum.stages: {{{_name(stage)}: {len(able)}}}"
                yield make_fault_at(("stages", index, key), rule, found, f"add cohorts or centers, {remedy}")


def _check_names(quorum: Mapping[str, Any], stages: list[dict[str, Any]]) -> Iterator[Fault]:
    known, given = [_name(stage) for stage in stages], quorum.get("stages")
    for name in given if isinstance(given, dict) else ():
        if name not in known:
            yield make_fault_at(
                ("quorum", "stages", name), f"a stage's name: {', '.join(known)}", str(name), "correct it"
            )


def _read_least(quorum: Mapping[str, Any], stage: Mapping[str, Any]) -> int:
    given = quorum.get("stages")
    own = given.get(_name(stage)) if isinstance(given, dict) else None
    found = own if own is not None else quorum.get("sites", USUAL_SITES)
    return found if isinstance(found, int) else 1


def _name(stage: Mapping[str, Any]) -> str:
    return str(stage.get("name", stage.get("stage", "")))


def _list_rounds(stage: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The cohorts that are asked together, with the key where they stand."""
    asked = {**_DEFAULTS.get(str(stage.get("stage")), {}), **stage}
    parts = [asked.get(key) for key in ("cohorts", "fusion_cohorts")]
    cohorts = tuple(str(c) for part in parts if isinstance(part, list | tuple) for c in part)
    if cohorts:
        yield "cohorts", cohorts
    validation = stage.get("validate")
    if isinstance(validation, dict):
        cohorts = validation.get("cohorts", ("validation",))
        yield "validate", tuple(map(str, cohorts)) if isinstance(cohorts, list | tuple) else ()
