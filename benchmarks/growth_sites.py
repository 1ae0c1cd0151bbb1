"""Sites that cost next to nothing: all of one role give the answer of one made-up site, under their own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.task_id import compute_task_id
from tests.support.fake_sites import FakeSite, lesions_of

LESIONS = 2
ROLES: tuple[Mapping[str, int], ...] = (
    {"training_a": LESIONS, "validation": LESIONS},
    {"training_a": LESIONS, "external_test_c": 1},
    {"training_b": LESIONS, "external_test_a": 1},
    {"internal_test": LESIONS, "external_test_b": 1},
)
"""Lesions by cohort."""


@dataclass
class Model:
    """The made-up site of a role, and its answers to the task at hand."""

    site: FakeSite
    answers: dict[tuple[str, int], Update | Refusal] = field(default_factory=dict)

    def answer(self, task: Task) -> Update | Refusal:
        """The answer, worked out once."""
        key = compute_task_id(task), len(task.inputs)
        if key not in self.answers:
            self.answers = {key: self.site.answer(task)}
        return self.answers[key]


@cache
def model_of(role: int) -> Model:
    """One a process."""
    return Model(FakeSite(f"role-{role}", lesions_of(f"role-{role}", ROLES[role])))


@dataclass(frozen=True)
class Twin:
    """A site like all others of its role."""

    name: str

    def handle(self, task: Task) -> Update | Refusal:
        """The answer of its role, in its own name."""
        return replace(model_of(int(self.name.rpartition("-")[2]) % len(ROLES)).answer(task), site=self.name)
