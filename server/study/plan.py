"""The study plan: a YAML file parsed into frozen types, with all its errors reported together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ceus_models.protocol.messages import Architecture
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import COHORTS, FUSION_NETS, NETS
from server.study.deadlines import Deadlines
from server.study.net_groups import GROUPS, expanded, known_net, needed_by
from server.study.participation import Quorum
from server.study.settings import Screening, Study
from server.study.stages import Evaluate, Hello, Stage, Statistics
from server.study.train_stage import Train
from server.study.yaml_plan import Fault, read_plan_file

AnyStage = Annotated[Hello | Statistics | Train | Evaluate, Field(discriminator="stage")]
"""All kinds of stage, distinguished by their key `stage`."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Plan:
    """The settings of a study.

    Args:
        late: whether a site that was absent from the first hello may join at the next round.
        simulation: settings of ceus-sim, which the coordinator ignores.
    """

    name: Annotated[str, MinLen(1)]
    stages: Annotated[tuple[AnyStage, ...], MinLen(1)]
    quorum: Quorum = field(default_factory=Quorum)
    deadlines: Deadlines = field(default_factory=Deadlines)
    late: Literal["next_round", "never"] = "next_round"
    processing: Processing = field(default_factory=Processing)
    architecture: Architecture = field(default_factory=Architecture)
    fusion_hidden: Annotated[int, Field(ge=1)] = 32
    screening: Screening = field(default_factory=Screening)
    simulation: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 over all settings, the simulation's included; comments and layout have no effect."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """All settings as JSON values."""
        found: dict[str, Any] = _PLAN.dump_python(self, mode="json")
        return found

    def study(self, seed: int) -> Study:
        """The settings that the stages need."""
        return Study(
            digest=self.digest(),
            seed=seed,
            processing=self.processing.digest(),
            architecture=self.architecture,
            fusion_hidden=self.fusion_hidden,
            screening=self.screening,
        )

    def current(self, stage: int) -> Stage | None:
        """The stage with this index; None after the last."""
        return self.stages[stage] if stage < len(self.stages) else None


_PLAN = TypeAdapter(Plan)


def load_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        PlanError: with all errors of the file: unknown keys, wrong types, impossible references.
    """
    file = read_plan_file(path)
    plan, found = plan_of(file.values)
    faults = [*file.repeated(), *found]
    if plan is None or faults:
        raise file.error(faults)
    return plan


def plan_of(values: Mapping[str, Any]) -> tuple[Plan | None, list[Fault]]:
    """Parse plain values: the plan, None if they have errors, and all errors."""
    faults = list(_references(values.get("stages")))
    try:
        plan = _PLAN.validate_json(json.dumps(values, default=str), strict=True)  # what JSON has no form for: text
    except ValidationError as error:
        return None, faults + faults_of(error)
    return (None if faults else plan), faults


def faults_of(error: ValidationError) -> list[Fault]:
    """Convert pydantic's errors into plain sentences with their keys."""
    return [_fault(each) for each in error.errors() if not _echo(each)]


def _echo(error: Any) -> bool:
    """Whether a list counts as empty only because its items have errors, which are reported already."""
    return bool(error["type"] == "too_short" and error.get("input"))


def _fault(error: Any) -> Fault:
    """Convert one error of pydantic: expected, found, fix."""
    kind, place, given = error["type"], tuple(error["loc"]), _shown(error.get("input"))
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return Fault(place, "unknown key; delete it or correct its spelling")
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return Fault(place[:-1], f"{place[-1]} is missing; add it")
    if kind == "predicate_failed" and "cohort" in error["msg"]:
        return Fault(place, f"a cohort must be one of {', '.join(COHORTS)}; found {given}")
    if kind == "predicate_failed":
        return Fault(place, f"a net must be one of {', '.join(NETS)}, or a group: {', '.join(GROUPS)}; found {given}")
    if kind == "union_tag_invalid":
        key = error["ctx"]["discriminator"].strip("'")
        return Fault((*place, key), f"must be one of {error['ctx']['expected_tags']}, not '{error['ctx']['tag']}'")
    if kind == "union_tag_not_found":
        return Fault(place, f"{error['ctx']['discriminator']} is missing; add it to name the kind")
    text = error["msg"].removeprefix("Value error, ")
    return Fault(place, text if kind == "value_error" else f"{text}, not {given}")


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _references(stages: Any) -> Iterator[Fault]:
    """Check what each stage needs from earlier ones, on unvalidated values, to report these errors with the others."""
    if not isinstance(stages, list):
        return
    names: set[str] = set()
    kinds: list[Any] = []
    trained: set[str] = set()
    for index, stage in enumerate(stages):
        if not isinstance(stage, dict):
            continue
        kind = stage.get("stage")
        name = stage.get("name", kind)
        if name in names:
            yield Fault(("stages", index, "name"), f"a stage's name must be unique, found {name!r} twice; rename one")
        names.add(str(name))
        if (kind == "hello") != (index == 0):
            yield Fault(("stages", index, "stage"), "hello must be the first stage, and only the first")
        nets = _nets(stage)
        if kind == "train":
            yield from _untrainable(index, nets, trained, kinds)
            trained.update(nets)
        if kind == "evaluate" and set(nets) - trained:
            missing = ", ".join(net for net in nets if net not in trained)
            yield Fault(("stages", index, "nets"), f"an earlier stage must train {missing} before it is evaluated")
        kinds.append(kind)


def _untrainable(index: int, nets: tuple[str, ...], trained: set[str], kinds: list[Any]) -> Iterator[Fault]:
    place = ("stages", index, "nets")
    if "statistics" not in kinds:
        yield Fault(("stages", index, "stage"), "a statistics stage must come before training; add one")
    fusion = [net for net in nets if net in FUSION_NETS]
    if fusion and len(fusion) < len(nets):
        yield Fault(place, "fusion nets and sub-models must be in separate stages, because fusion nets use frozen ones")
    missing = sorted({need for net in fusion for need in needed_by(net)} - trained)
    if missing:
        yield Fault(place, f"an earlier stage must train {', '.join(missing)}, which {fusion[0]} uses; add one")


def _nets(stage: Mapping[str, Any]) -> tuple[str, ...]:
    named = stage.get("nets")
    known = [net for net in named if isinstance(net, str) and known_net(net)] if isinstance(named, list) else []
    return expanded(known)
