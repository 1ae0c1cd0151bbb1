"""The audit for a person: what is under way, what left, how large each tensor is."""

from __future__ import annotations

from typing import Any

import pytest

from client.worker.audit.summary import TensorLine, list_left, tensors, under_way

LAYOUT = {
    "kind": "layout",
    "layout": "l1",
    "groups": {"a": {"w": "float32[2, 3]", "n": "int64[]"}, "": {"ok": "bool[7]"}},
}


def entry(kind: str, second: int, task: str = "", **more: Any) -> dict[str, Any]:
    of = {"task": task, "study": "s", "stage": "one", "asked": "train", "round": 1} if task else {}
    return {"kind": kind, "at": f"2026-11-26T05:00:{second:02d}.000Z", **of, **more}


def answer(second: int, task: str, weight: float = 9.0) -> dict[str, Any]:
    return entry("answer", second, task, bytes=100, weight=weight, privacy="none", layout="l1")


def test_a_task_is_under_way_until_it_is_answered_or_the_worker_starts_anew() -> None:
    begun = [entry("task", 0, "a"), answer(10, "a"), entry("task", 11, "b"), answer(31, "b"), entry("task", 40, "c")]
    found = under_way(begun)
    assert found is not None
    assert found.task["task"] == "c"
    assert found.usual_s == 15.0
    assert under_way([*begun, answer(50, "c")]) is None
    assert under_way([*begun, entry("refusal", 50, "c")]) is None
    assert under_way([*begun, entry("start", 50)]) is None
    assert under_way([*begun, entry("refusal", 50)]) is not None, "of what was no task"
    first = under_way([entry("task", 0, "a")])
    assert first is not None
    assert first.usual_s is None


def test_what_left_is_counted_by_stage() -> None:
    (line, other) = list_left([answer(1, "a", 4.0), answer(2, "b"), entry("refusal", 3, "c"), entry("refusal", 4)])
    assert (line.stage, line.answers, line.refusals, line.bytes, line.lesions) == ("one", 2, 1, 200, "4 to 9")
    assert line.last.startswith("2026-11-26T05:00:03")
    assert (other.stage, other.answers, other.refusals, other.lesions) == ("", 0, 1, "")


def test_tensors_have_their_bytes_by_dtype_and_shape() -> None:
    found = list(tensors(answer(1, "a"), [LAYOUT]))
    assert found == [
        TensorLine("a", "w", "float32[2, 3]", 24),
        TensorLine("a", "n", "int64[]", 8),
        TensorLine("", "ok", "bool[7]", 7),
    ]
    assert list(tensors(answer(1, "a"), [])) == []


@pytest.mark.parametrize("form", ["bfloat16[4]", "uint8[8]"])
def test_other_dtypes(form: str) -> None:
    layout = {"kind": "layout", "layout": "l1", "groups": {"a": {"w": form}}}
    assert [line.bytes for line in tensors(answer(1, "a"), [layout])] == [8]
