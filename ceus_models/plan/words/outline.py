"""What a person reads of a plan, from its canonical JSON: commands and consoles show it without loading torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ceus_models.nets.heads import list_nets
from ceus_models.plan.terms.deadlines import Deadlines
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.terms.participation import Quorum
from ceus_models.protocol.messages import Architecture, Level, LocalRule, Quantisation, Question, Sharing
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES, SECURE_LEVELS
from ceus_models.protocol.software import RequiredSoftware
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import format_key
from ceus_models.study.processing import Processing

_VALIDATING: Question = "evaluate"


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ValidationOutline(_Form):
    """As `ceus_models.plan.train_stage.Validation`."""

    cohorts: tuple[str, ...]
    every: int = Field(ge=1)


class StageOutline(_Form):
    """One stage of any kind; what its kind does not have is left at the default."""

    stage: Literal["hello", "statistics", "train", "evaluate"]
    name: str
    nets: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    fusion_cohorts: tuple[str, ...] = ()
    rounds: int = Field(1, ge=1, le=100_000)
    strategy: Mapping[str, Any] = Field(default_factory=dict)
    rule: LocalRule | None = None
    validation: ValidationOutline | None = Field(None, alias="validate")
    share: float = 1.0
    level: Level = "none"
    changes: Quantisation | None = None
    weights: Literal["float32", "bfloat16"] = "float32"
    schedule: Literal["constant", "cosine"] = "constant"
    paired_replicates: int = 0
    noise: float = 0.0
    noise_sites: int = Field(1, ge=1)

    @property
    def question(self) -> Question:
        """What its rounds ask."""
        return "tally" if self.stage == "statistics" else self.stage

    def list_trained_nets(self, sharing: Sharing) -> tuple[str, ...]:
        """The nets that travel."""
        return list_nets(expand_names(self.nets), sharing)

    def list_asked(self) -> Iterator[tuple[Question, Level, tuple[str, ...]]]:
        """Kind of task, level and cohorts of what its rounds ask."""
        yield self.question, self.level, (*self.cohorts, *self.fusion_cohorts)
        if self.validation:
            yield _VALIDATING, self.level, self.validation.cohorts

    def count_validations(self) -> int:
        """Rounds of validation within the stage."""
        return -(-self.rounds // self.validation.every) if self.validation else 0


class PlanOutline(_Form):
    """A plan as `Plan.plain` writes it."""

    name: str
    stages: tuple[StageOutline, ...]
    quorum: Quorum
    deadlines: Deadlines
    late: str
    processing: Processing
    architecture: Architecture
    fusion_hidden: int
    sharing: Sharing
    given: Mapping[str, Any] | None
    delta: float
    pretrained: Mapping[str, Any]
    software: RequiredSoftware = Field(default_factory=RequiredSoftware)

    def least_sites(self) -> dict[str, int]:
        """Stage → how many sites must be counted at least, as `Plan.least_sites`."""
        return {
            stage.name: max(self.quorum.least(stage.name), LEAST_SITES if stage.level in SECURE_LEVELS else 1)
            for stage in self.stages
        }


def read_outline(values: Mapping[str, Any]) -> PlanOutline:
    """Read a plan's values. Raises ExpectedError where they are no plan of this version."""
    try:
        return PlanOutline.model_validate(values)
    except ValidationError as error:
        place = format_key(error.errors()[0]["loc"])[:100]
        raise ExpectedError(
            f"expected a plan of this version of fedceus, found another form at {place!r}; install the same version as "
            "the coordinator"
        ) from None


def parse_values(text: str) -> dict[str, Any]:
    """The values of a plan in JSON. Raises ExpectedError for anything else, and for text that a terminal would obey."""
    try:
        found = json.loads(text)
        plain = _is_printable(found)
    except (ValueError, RecursionError):
        found, plain = None, False
    if not isinstance(found, dict) or not plain:
        raise ExpectedError("expected a plan as JSON, found something else; ask the coordinator for the bundle again")
    return found


def _is_printable(value: Any) -> bool:
    if isinstance(value, str):
        return value.isprintable()
    if isinstance(value, dict):
        return all(_is_printable(key) and _is_printable(one) for key, one in value.items())
    return all(map(_is_printable, value)) if isinstance(value, list) else True
