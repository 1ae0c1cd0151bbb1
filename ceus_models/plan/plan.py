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

from ceus_models.plan.given_recipe import Given
from ceus_models.plan.site_rules import check_sites
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.deadlines import Deadlines
from ceus_models.plan.terms.net_groups import expand_names, is_known_net, required_nets
from ceus_models.plan.terms.participation import Quorum
from ceus_models.plan.terms.pretrained import Pretrained
from ceus_models.plan.terms.settings import Screening, Study
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Architecture, Sharing
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES, SECURE_LEVELS
from ceus_models.protocol.software import RequiredSoftware
from ceus_models.runtime.errors import ExpectedError, Fault
from ceus_models.runtime.yaml_lines import YamlWithLines, list_faults, make_fault_at, read_yaml_with_lines
from ceus_models.study.inclusion import STUDY_RULES
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import FUSION_NETS, SUBMODELS

Stage = Hello | Statistics | Train | Evaluate
"""All kinds of stage, distinguished by their key `stage`."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Plan:
    """The settings of a study.

    Args:
        sharing: "separate" for a net of its own for each sub-model, "trunk" for one net with a head for each.
        late: whether a site that was absent from the first hello may join at the next round.
        given: public constants in place of a statistics stage; a plan with private stages takes its recipe from them.
        delta: of the (ε, δ) that private stages cost a patient.
        pretrained: public weights of the backbones, by stream, in place of those of the seed.
        software: that every site must run, beside the same protocol.
        simulation: settings of ceus-sim, which the coordinator ignores.
    """

    name: Annotated[str, MinLen(1)]
    stages: Annotated[tuple[Annotated[Stage, Field(discriminator="stage")], ...], MinLen(1)]
    quorum: Quorum = field(default_factory=Quorum)
    deadlines: Deadlines = field(default_factory=Deadlines)
    late: Literal["next_round", "never"] = "next_round"
    processing: Processing = field(default_factory=Processing)
    architecture: Architecture = field(default_factory=Architecture)
    fusion_hidden: Annotated[int, Field(ge=0)] = 32
    sharing: Sharing = "separate"
    screening: Screening = field(default_factory=Screening)
    given: Given | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    pretrained: Pretrained = field(default_factory=dict)
    software: RequiredSoftware = field(default_factory=RequiredSoftware)
    simulation: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 over all settings, the simulation's included; comments and layout have no effect."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def canonical(self) -> str:
        """All settings as JSON in the one way that the digest is taken of."""
        return json.dumps(self.plain(), sort_keys=True)

    def plain(self) -> dict[str, Any]:
        """All settings as JSON values."""
        found: dict[str, Any] = _PLAN.dump_python(self, mode="json")
        for key in _NEWER_QUORUM:
            if getattr(self.quorum, key) == getattr(Quorum(), key):
                del found["quorum"][key]
        if self.software == RequiredSoftware():
            del found["software"]
        if self.processing.inclusion == STUDY_RULES:
            del found["processing"]["inclusion"]
        return found

    def least_sites(self) -> dict[str, int]:
        """Stage → how many sites must be counted at least in each of its rounds."""
        secure = [stage.name for stage in self.stages if getattr(stage, "level", "none") in SECURE_LEVELS]
        return {
            stage.name: max(self.quorum.least(stage.name), LEAST_SITES if stage.name in secure else 1)
            for stage in self.stages
        }

    def check_joinable(self, sites: int, whose: str) -> None:
        """Raise ExpectedError if `sites` are too few for a stage. whose: what they are, as `enrolled`."""
        short = {stage: least for stage, least in self.least_sites().items() if least > sites}
        if short:
            raise ExpectedError(
                f"the plan needs at least {max(short.values())} sites in {', '.join(short)}, found {sites} {whose}; "
                "add sites, or state a smaller quorum.sites in the plan, which every site then approves anew"
            )

    def study(self, seed: int) -> Study:
        """The settings that the stages need."""
        return Study(
            digest=self.digest(),
            seed=seed,
            processing=self.processing.digest(),
            architecture=self.architecture,
            fusion_hidden=self.fusion_hidden,
            screening=self.screening,
            secure=any(getattr(stage, "level", "none") in SECURE_LEVELS for stage in self.stages),
            plan=self.canonical(),
            recipe=self.given.recipe(self.architecture, self.fusion_hidden, self.sharing) if self.given else None,
            sharing=self.sharing,
        )

    def current(self, stage: int) -> Stage | None:
        """The stage with this index; None after the last."""
        return self.stages[stage] if stage < len(self.stages) else None


_PLAN = TypeAdapter(Plan)
_NEWER_QUORUM = ("sites", "stages")
"""Left out of the digest where they are the usual ones, so that plans from before keep theirs."""


def format_least(plan: Plan) -> str:
    """How many sites must be counted at least, for a person."""
    counts = plan.least_sites()
    others = {name: least for name, least in counts.items() if least != plan.quorum.sites}
    but = "".join(f", {name} {least}" for name, least in others.items())
    return f"at least {plan.quorum.sites} sites each{but}"


def load_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises FaultList with every fault of it: unknown keys, wrong types, impossible references.
    """
    document = read_plan_file(path)
    plan, found = parse_plan(document.values)
    faults = [*document.repeated, *found]
    if plan is None or faults:
        raise document.error(faults)
    return plan


def read_plan_file(path: Path, reason: str = "bad-plan-file") -> YamlWithLines:
    """A plan's values and their lines. reason: slug of its faults. Raises FaultList where it is no mapping."""
    document = read_yaml_with_lines(path, reason)
    if not isinstance(document.values, dict) or not document.values:
        raise document.error(
            [make_fault_at((), "a plan is a mapping", "something else", "write name, quorum, stages …")]
        )
    return document


def parse_plan(values: Mapping[str, Any]) -> tuple[Plan | None, list[Fault]]:
    """Parse plain values: the plan, None if they have errors, and all errors."""
    faults = [
        *_check_references(values.get("stages")),
        *_check_recipe(values),
        *_check_sharing(values),
        *check_sites(values),
    ]
    try:
        plan = _PLAN.validate_json(json.dumps(values, default=str), strict=True)  # what JSON has no form for: text
    except ValidationError as error:
        return None, [*faults, *list_faults(error)]
    return (None if faults else plan), faults


def _check_references(stages: Any) -> Iterator[Fault]:
    """Check what each stage needs from earlier ones, on unvalidated values, to report these errors with the others."""
    if not isinstance(stages, list):
        return
    names: set[str] = set()
    trained: set[str] = set()
    for index, stage in enumerate(stages):
        if not isinstance(stage, dict):
            continue
        kind = stage.get("stage")
        name = stage.get("name", kind)
        if name in names:
            yield make_fault_at(("stages", index, "name"), "names of stages differ", f"two {name!r}", "rename one")
        names.add(str(name))
        if (kind == "hello") != (index == 0):
            yield make_fault_at(
                ("stages", index, "stage"), "hello is the first stage, and no other", str(kind), "move it"
            )
        nets = _nets(stage)
        if kind == "train":
            yield from _untrainable(index, nets, trained)
            trained.update(nets)
        if kind == "evaluate" and set(nets) - trained:
            missing = ", ".join(net for net in nets if net not in trained)
            yield make_fault_at(
                ("stages", index, "nets"), f"a stage before this one trains {missing}", "none", "add it"
            )


def _check_recipe(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check that the nets' recipe comes from one place, which costs no privacy where training is private."""
    stages = values.get("stages")
    named = [stage for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
    kinds = [stage.get("stage") for stage in named]
    private = [stage for stage in named if isinstance(stage.get("rule"), dict) and stage["rule"].get("private")]
    first = kinds.index("train") if "train" in kinds else len(kinds)
    rule = "statistics before training, or given constants, and not both"
    if values.get("given") is None and private:
        yield make_fault_at((), "a plan with private stages has given constants", "none", "add `given` with constants")
    elif values.get("given") is None and first < len(kinds) and "statistics" not in kinds[:first]:
        yield make_fault_at(("stages", first, "stage"), rule, "neither", "add a statistics stage, or `given`")
    elif values.get("given") is not None and "statistics" in kinds:
        yield make_fault_at(("given",), rule, "both", "remove one of them")
    shape = values.get("architecture")
    if private and isinstance(shape, dict) and shape.get("norm", "group") != "group":
        yield make_fault_at(("architecture", "norm"), "norm is group where training is private", str(shape["norm"]))


def _check_sharing(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check that no stage trains some of the heads of a trunk: its layers are everybody's."""
    stages = values.get("stages")
    for index, stage in enumerate(stages if isinstance(stages, list) else ()):
        if values.get("sharing") != "trunk" or not isinstance(stage, dict) or stage.get("stage") != "train":
            continue
        heads = set(_nets(stage)) & set(SUBMODELS)
        if heads and heads != set(SUBMODELS):
            rule = "a stage trains all sub-models or none where they share a trunk"
            found = f"{len(heads)} of {len(SUBMODELS)}"
            yield make_fault_at(("stages", index, "nets"), rule, found, "write submodels, or set sharing: separate")


def _untrainable(index: int, nets: tuple[str, ...], trained: set[str]) -> Iterator[Fault]:
    place = ("stages", index, "nets")
    fusion = [net for net in nets if net in FUSION_NETS]
    if fusion and len(fusion) < len(nets):
        yield make_fault_at(
            place, "fusion nets stand on frozen sub-models", remedy="train the two in stages of their own"
        )
    missing = sorted({need for net in fusion for need in required_nets(net)} - trained)
    if missing:
        rule = f"a stage before this one trains what {fusion[0]} stands on"
        yield make_fault_at(place, rule, f"none for {', '.join(missing)}", "add one")


def _nets(stage: Mapping[str, Any]) -> tuple[str, ...]:
    named = stage.get("nets")
    known = [net for net in named if isinstance(net, str) and is_known_net(net)] if isinstance(named, list) else []
    return expand_names(known)
