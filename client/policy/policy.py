"""A site's policy: what the hospital allows. Nothing that the coordinator sends can extend it."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from ceus_models.protocol.messages import LocalRule, Precision, Question, RefusalCode, Task
from ceus_models.study.taxonomy import COHORTS, NETS
from client.policy.hours import Hours
from client.policy.machine import Machine
from client.policy.privacy_levels import LEVELS, PrivacyLevels

if TYPE_CHECKING:  # commands that read a policy do without torch
    from ceus_models.protocol.message_ids import ReceivedTask

KINDS: tuple[Question, ...] = get_args(Question)
"""What a policy can allow; "offer" and "unmask" belong to the secure sum of one of them."""
SAFE_LESIONS, SAFE_CELL, MIN_REASON = 10, 5, 20
APPROVED: Literal["approved"] = "approved"
"""Word of `studies`: whatever this site's people approved."""
Optimizer = Literal["sgd", "adamw"]


class TaskDeclined(Exception):
    """A task that the site refuses. It becomes a Refusal message, so its text names no patient."""

    def __init__(self, code: RefusalCode, reason: str) -> None:
        """Keep both forms of the reason.

        Args:
            code: Machine-readable reason.
            reason: Text for a person.
        """
        super().__init__(reason)
        self.code: RefusalCode = code
        self.reason = reason


class Consent(Protocol):
    """Decides on a task before work begins, and again before its answer is sent."""

    def admit(self, received: ReceivedTask) -> Policy:
        """The policy in force. Raises TaskDeclined for a task that it refuses."""
        ...

    def release(self, received: ReceivedTask) -> None:
        """Called when the work is done. Raises TaskDeclined where its answer may no longer be sent."""
        ...


def _parse_any(value: Any) -> Any:
    """Parse the word "any", which may not be left out."""
    if value is None:
        raise ValueError("it must list what is allowed, or be the word any")
    return None if value == "any" else value


def _parse_studies(value: Any) -> Any:
    """Parse `studies`: a word, or digests by name."""
    if value is None or (isinstance(value, str) and value not in (APPROVED, "any")) or isinstance(value, list):
        raise ValueError("it must be the word approved, or any, or list digests of plans by your own names")
    return None if value == "any" else value


def _check_known(net: str) -> str:
    if net not in NETS:
        raise ValueError(f"a net must be one of {', '.join(NETS)}")
    return net


_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
_Count = Annotated[int, Field(strict=True, ge=1)]
_Size = Annotated[float, Field(strict=True, ge=0)]
_Word = Annotated[str, Field(strict=True, min_length=1, max_length=100)]
_Digest = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]
_Studies = Annotated[Literal["approved"] | dict[_Word, _Digest] | None, BeforeValidator(_parse_studies)]
_Nets = Annotated[tuple[Annotated[str, AfterValidator(_check_known)], ...] | None, BeforeValidator(_parse_any)]


@dataclass(frozen=True, config=_CONFIG)
class Caps:
    """Bounds on every number of a LocalRule. max_clip: of the gradient's norm, where a task clips it."""

    max_epochs: _Count = 10
    min_batch_size: _Count = 1
    max_batch_size: _Count = 256
    max_learning_rate: _Size = 1.0
    max_momentum: _Size = 1.0
    max_weight_decay: _Size = 1.0
    max_proximal_mu: _Size = 10.0
    max_clip: _Size | None = None
    clip_required: Annotated[bool, Field(strict=True)] = False
    optimizers: tuple[Optimizer, ...] = get_args(Optimizer)
    precisions: tuple[Precision, ...] = get_args(Precision)

    def list_violations(self, rule: LocalRule) -> Iterator[str]:
        """Each bound that a rule breaks, with what would be allowed."""
        for cap, asked in (
            ("max_epochs", rule.epochs),
            ("max_batch_size", rule.batch_size),
            ("max_learning_rate", rule.learning_rate),
            ("max_momentum", rule.momentum),
            ("max_weight_decay", rule.weight_decay),
            ("max_proximal_mu", rule.proximal_mu),
            ("max_clip", rule.clip),
        ):
            most = getattr(self, cap)
            if asked is not None and most is not None and asked > most:
                yield f"caps.{cap} is {most:g}, the task's {cap.removeprefix('max_')} is {asked:g}"
        if rule.batch_size < self.min_batch_size:
            yield f"caps.min_batch_size is {self.min_batch_size}, the task's batch_size is {rule.batch_size}"
        if self.clip_required and rule.clip is None:
            yield "caps.clip_required is true, the task's rule has no clip"
        if rule.optimizer not in self.optimizers:
            yield f"caps.optimizers are {_join_names(self.optimizers)}, the task asks for {rule.optimizer}"
        if rule.precision not in self.precisions:
            yield f"caps.precisions are {_join_names(self.precisions)}, the task asks for {rule.precision}"


@dataclass(frozen=True, config=_CONFIG)
class Policy:
    """One version of policy.yaml. What it leaves out is as safe as it comes; less needs the words of `accept_risk`.

    Attributes:
        studies: Whose tasks are answered: of plans that were approved here ("approved"), of those whose digests stand
            here under the hospital's own names, of any (None).
        nets: Allowed nets, None for any.
        minimum_lesions: Cohorts and nets with fewer are left out of every answer.
        minimum_cell: Counts below it are left out too.
        max_replicates: Bootstrap replicates with weights of the lesions. They single out lesions, so 0, but in a
            simulation; intervals of a study need none.
        rounds_per_day: Different tasks answered in one day, by `hours.zone` or UTC.
        privacy: What protects the patients.
        accept_risk: Why the hospital allows less than the safe settings, for whoever reads the audit.
    """

    studies: _Studies
    schema: Literal[2] = 2
    kinds: tuple[Question, ...] = KINDS
    nets: _Nets = None
    caps: Caps = field(default_factory=Caps)
    minimum_lesions: _Count = 10
    minimum_cell: _Count = 5
    max_replicates: Annotated[int, Field(strict=True, ge=0)] = 0
    rounds_per_day: _Count | None = None
    hours: Hours | None = None
    privacy: PrivacyLevels = field(default_factory=PrivacyLevels)
    accept_risk: Annotated[str, Field(strict=True, max_length=500)] = ""
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        """Raise ValueError for settings below the safe ones without a reason in words."""
        risks = [name for name, _ in self.list_risks()]
        if risks and len(self.accept_risk.strip()) < MIN_REASON:
            raise ValueError(
                f"settings below the safe ones need accept_risk, a sentence of at least {MIN_REASON} characters that "
                f"says why: {', '.join(risks)}"
            )

    def list_risks(self) -> Iterator[tuple[str, str]]:
        """Each setting below the safe ones: its name, and what it gives up."""
        held = self.privacy
        if self.studies is None:
            yield "studies", "any plan is answered, also one that nobody here has read"
        if LEVELS.index(held.training) < LEVELS.index("distributed"):
            yield "privacy.training", "changes of nets can carry single patients' records out"
        for name in ("statistics", "evaluation"):
            if held.find_level("tally" if name == "statistics" else "evaluate") == "none":
                yield f"privacy.{name}", "the coordinator sees this hospital's own counts"
        if not held.bound_to_plan:
            yield "privacy.bound_to_plan", "tasks that no plan asks are answered, and rounds again and again"
        yield from held.list_risks()
        if self.minimum_lesions < SAFE_LESIONS:
            yield "minimum_lesions", f"groups of fewer than {SAFE_LESIONS} lesions are spoken of"
        if self.minimum_cell < SAFE_CELL:
            yield "minimum_cell", f"counts below {SAFE_CELL} lesions leave the hospital"
        if self.max_replicates:
            yield "max_replicates", "replicates are row-level data: a lesion can be followed through all tables"

    def find_refusal(self, task: Task, at: datetime.datetime | None, approved: Collection[str] = ()) -> str | None:
        """Find why this site does not answer a task.

        Args:
            task: that is asked.
            at: when; None for any time.
            approved: digests of the plans that are approved here.

        Returns:
            All reasons at once, or None.
        """
        found = [*self._check_study(task.study, approved), *self._check_request(task)]
        found += [*self._check_amounts(task), *self._check_hours(at)]
        return f"the site's policy refuses: {'; '.join(found)}" if found else None

    def admit(self, received: ReceivedTask) -> Policy:
        """The policy as its own consent: it never changes, and nobody pauses the site (a simulation)."""
        if reason := self.find_refusal(received.task, datetime.datetime.now(datetime.UTC)):
            raise TaskDeclined("policy", reason)
        return self

    def release(self, received: ReceivedTask) -> None:
        """Nothing has changed meanwhile."""

    def _check_study(self, study: str, approved: Collection[str]) -> Iterator[str]:
        if self.studies == APPROVED:
            if study not in approved:
                yield f"the plan {study[:16]}… is not approved here; the site's IT runs `ceus-site approve`"
        elif self.studies is not None and study not in self.studies.values():
            yield f"studies does not name the plan {study[:16]}…; the site's IT adds its digest to allow it"

    def _check_request(self, task: Task) -> Iterator[str]:
        """What this site does not do at all."""
        if task.kind not in (*self.kinds, "offer", "unmask"):
            yield f"kinds are {_join_names(self.kinds)}, not {task.kind}"
        least = self.privacy.find_level(task.kind)
        if LEVELS.index(task.level) < LEVELS.index(least):
            yield f"privacy wants level {least} or stronger for {task.kind}, the task has level {task.level}"
        allowed = NETS if self.nets is None else self.nets
        yield from _list_disallowed("nets", task.nets, allowed)
        yield from _list_disallowed("cohorts", task.cohorts, COHORTS)

    def _check_amounts(self, task: Task) -> Iterator[str]:
        if task.rule is not None:
            yield from self.caps.list_violations(task.rule)
        if not 0 <= task.replicates <= self.max_replicates:
            yield f"max_replicates is {self.max_replicates}, the task asks for {task.replicates}"

    def _check_hours(self, at: datetime.datetime | None) -> Iterator[str]:
        if at is not None and self.hours is not None and not self.hours.contain(at):
            yield f"hours are {self.hours}"


def _list_disallowed(what: str, asked: tuple[str, ...], allowed: tuple[str, ...]) -> Iterator[str]:
    strange = [name for name in asked if name not in allowed]
    if strange:
        yield f"{what} are {_join_names(allowed)}, the task asks for {_join_names(strange)}"
    if len(set(asked)) < len(asked):
        yield f"{what} stand once in a task, here one stands twice"


def _join_names(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
