"""The study as one file: YAML read once into frozen types, with all faults reported together."""

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
"""The registry of kinds of stage, told apart by their key `stage`."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Plan:
    """A study.

    late: whether a site that was not at the first hello may still come in, at the next round · simulation: what
    ceus-sim reads of the same file; the coordinator ignores it.
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
        """SHA-256 over every setting, those of the simulation included; comments and layout do not count."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """Every setting as JSON values."""
        found: dict[str, Any] = _PLAN.dump_python(self, mode="json")
        return found

    def study(self, seed: int) -> Study:
        """What the stages need to know of this plan."""
        return Study(
            digest=self.digest(),
            seed=seed,
            processing=self.processing.digest(),
            architecture=self.architecture,
            fusion_hidden=self.fusion_hidden,
            screening=self.screening,
        )

    def current(self, stage: int) -> Stage | None:
        """The stage of that index; None after the last."""
        return self.stages[stage] if stage < len(self.stages) else None


_PLAN = TypeAdapter(Plan)


def load_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises PlanError with every fault of it: unknown keys, wrong types, impossible references.
    """
    file = read_plan_file(path)
    plan, found = plan_of(file.values)
    faults = [*file.repeated(), *found]
    if plan is None or faults:
        raise file.error(faults)
    return plan


def plan_of(values: Mapping[str, Any]) -> tuple[Plan | None, list[Fault]]:
    """The plan that plain values mean, None where they have a fault, and every fault."""
    faults = list(_references(values.get("stages")))
    try:
        plan = _PLAN.validate_json(json.dumps(values, default=str), strict=True)  # what JSON has no form for: text
    except ValidationError as error:
        return None, faults + faults_of(error)
    return (None if faults else plan), faults


def faults_of(error: ValidationError) -> list[Fault]:
    """pydantic's errors in our words, each at its place."""
    return [_fault(each) for each in error.errors() if not _echo(each)]


def _echo(error: Any) -> bool:
    """Whether a list is called empty only because its items are faulty, which is said already."""
    return bool(error["type"] == "too_short" and error.get("input"))


def _fault(error: Any) -> Fault:
    """pydantic's error in our words: rule, value, remedy."""
    kind, place, given = error["type"], tuple(error["loc"]), _shown(error.get("input"))
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return Fault(place, "unknown key; delete it or mend its spelling")
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return Fault(place[:-1], f"{place[-1]} is missing; add it")
    if kind == "predicate_failed" and "cohort" in error["msg"]:
        return Fault(place, f"unknown cohort {given}; cohorts are {', '.join(COHORTS)}")
    if kind == "predicate_failed":
        return Fault(place, f"unknown net {given}; nets are {', '.join(NETS)}, or {', '.join(GROUPS)} for several")
    if kind == "union_tag_invalid":
        key = error["ctx"]["discriminator"].strip("'")
        return Fault((*place, key), f"must be one of {error['ctx']['expected_tags']}, not '{error['ctx']['tag']}'")
    if kind == "union_tag_not_found":
        return Fault(place, f"{error['ctx']['discriminator']} is missing; it says which kind this is")
    text = error["msg"].removeprefix("Value error, ")
    return Fault(place, text if kind == "value_error" else f"{text}, not {given}")


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _references(stages: Any) -> Iterator[Fault]:
    """What one stage needs of those before it. Reads unchecked values, so that these faults come with the others."""
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
            yield Fault(("stages", index, "name"), f"two stages are named {name!r}; rename one")
        names.add(str(name))
        if (kind == "hello") != (index == 0):
            yield Fault(("stages", index, "stage"), "hello is the first stage, and stands only there")
        nets = _nets(stage)
        if kind == "train":
            yield from _untrainable(index, nets, trained, kinds)
            trained.update(nets)
        if kind == "evaluate" and set(nets) - trained:
            missing = ", ".join(net for net in nets if net not in trained)
            yield Fault(("stages", index, "nets"), f"{missing} cannot be evaluated before a stage trains it")
        kinds.append(kind)


def _untrainable(index: int, nets: tuple[str, ...], trained: set[str], kinds: list[Any]) -> Iterator[Fault]:
    place = ("stages", index, "nets")
    if "statistics" not in kinds:
        yield Fault(("stages", index, "stage"), "a statistics stage must stand before training")
    fusion = [net for net in nets if net in FUSION_NETS]
    if fusion and len(fusion) < len(nets):
        yield Fault(place, "fusion nets stand on frozen sub-models; train the two in stages of their own")
    missing = sorted({need for net in fusion for need in needed_by(net)} - trained)
    if missing:
        yield Fault(place, f"{fusion[0]} stands on {', '.join(missing)}, which no stage before this one trains")


def _nets(stage: Mapping[str, Any]) -> tuple[str, ...]:
    named = stage.get("nets")
    known = [net for net in named if isinstance(net, str) and known_net(net)] if isinstance(named, list) else []
    return expanded(known)
