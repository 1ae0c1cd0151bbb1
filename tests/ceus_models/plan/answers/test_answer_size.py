"""No honest answer is larger than its bound, and the bound is near what was asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ceus_models.plan.answers.answer_schema import groups_of
from ceus_models.plan.answers.answer_size import SMALL_BYTES, bound_answer
from ceus_models.protocol.encoding import to_bytes
from ceus_models.protocol.messages import Kind, Level, Task, Update
from ceus_models.study.taxonomy import FUSION_NETS, NETS

NET = "disease/HCC"


@pytest.mark.parametrize("kind", ["hello", "tally", "offer", "unmask"])
def test_counts_and_keys_have_sixteen_megabytes(kind: Kind) -> None:
    assert bound_answer(Task(kind, "s", 1, "stage", 0, cohorts=("training_a",))) == SMALL_BYTES == 16 << 20


@pytest.mark.parametrize("level", ["none", "sums"])
@pytest.mark.parametrize(
    "more",
    [
        {"kind": "hello", "cohorts": ("training_a", "training_b")},
        {"kind": "tally", "cohorts": ("training_a", "training_b")},
        {"kind": "evaluate", "nets": (*NETS, *FUSION_NETS), "cohorts": ("internal_test",), "comparisons": True},
        {"kind": "evaluate", "nets": tuple(FUSION_NETS), "cohorts": ("internal_test",), "replicates": 1000},
        {"kind": "train", "nets": (NET,), "inputs": {f"{NET}|w": torch.zeros(4_000_000, dtype=torch.bfloat16)}},
    ],
    ids=lambda more: more["kind"],
)
def test_an_answer_as_its_schema_says_is_below_the_bound(level: Level, more: dict[str, Any]) -> None:
    task = Task(study="s", seed=1, stage="stage", round=0, level=level, **more)
    specs = groups_of(task).values() if task.kind != "train" else []
    sums = {name: torch.zeros(spec.shape, dtype=spec.dtype) for group in specs for name, spec in group.items()}
    if task.kind == "train":  # in a secure sum every parameter has 64 bits
        sums = {f"{NET}|w": torch.zeros(4_000_000, dtype=torch.int64)}
    size = len(to_bytes(Update("a", sums, 1.0)))
    assert size < bound_answer(task) < 4 * size + 2 * SMALL_BYTES
