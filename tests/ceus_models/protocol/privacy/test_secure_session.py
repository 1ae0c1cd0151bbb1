"""Ids and labels of a secure sum: everything that must make a difference makes one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ceus_models.protocol.messages import LocalRule, Session, Task
from ceus_models.protocol.privacy import secure_session as shared

SESSION = Session("0" * 32, ("a", "b", "c", "d"), 3)
ROSTER = bytes(128)
TASK = Task(
    "train", "plan", 1, "stage", 1, ("x", "y"), ("training_a",), {"x|w": torch.ones(2)}, LocalRule(), level="sums"
)


@pytest.mark.parametrize(("sites", "threshold"), [(3, 2), (4, 3), (5, 4), (7, 5), (9, 6), (13, 9), (36, 24)])
def test_two_thirds_open(sites, threshold):
    assert shared.compute_threshold(sites) == threshold
    liars = (sites - 1) // 3  # fewer than a third
    assert 2 * threshold > sites + liars, "two sets that open share an honest site"


def test_the_same_id_with_other_parts_is_another_session():
    others = [
        (replace(SESSION, id="1" * 32), ROSTER),
        (replace(SESSION, sites=("a", "b", "c", "e")), ROSTER),
        (replace(SESSION, threshold=2), ROSTER),
        (SESSION, b"\1" + ROSTER[1:]),
    ]
    assert len({shared.compute_session_id(*one) for one in [(SESSION, ROSTER), *others]}) == 5


def test_the_subject_is_what_is_asked_whatever_its_name():
    same = [
        replace(TASK, stage="other", round=7, seed=3),
        replace(TASK, inputs={**TASK.inputs, "#boxes": torch.ones(1), "z|w": torch.ones(1)}),
        replace(TASK, inputs={**TASK.inputs, "x|#bound": torch.ones(2)}),
        replace(TASK, attempt=1),
        replace(TASK, session=SESSION, survivors=("a",)),
    ]
    assert {shared.compute_subject(task) for task in same} == {shared.compute_subject(TASK)}
    others = [
        replace(TASK, inputs={"x|w": torch.ones(2) * 1.001}),
        replace(TASK, cohorts=("validation",)),
        replace(TASK, kind="evaluate"),
        replace(TASK, study="other"),
        replace(TASK, rule=LocalRule(epochs=2)),
        replace(TASK, level="distributed"),
        replace(TASK, level="distributed", attempt=1),
    ]
    assert len({shared.compute_subject(task) for task in [TASK, *others]}) == 8


def test_binding_and_view_differ_by_every_part():
    bindings = {
        shared.compute_binding(*parts)
        for parts in [("s", b"b", "t"), ("r", b"b", "t"), ("s", b"c", "t"), ("s", b"b", "u")]
    }
    assert len(bindings) == 4
    assert shared.compute_view("b", ("x", "y")) != shared.compute_view("b", ("x",))
    assert shared.compute_view("b", ("x", "y")) != shared.compute_view("c", ("x", "y"))


def test_keys_have_a_direction():
    secret = bytes(32)
    assert shared.derive_box_key(secret, "s", (0, 1)) != shared.derive_box_key(secret, "s", (1, 0))
    assert shared.derive_tag(secret, "v", (0, 1)) != shared.derive_tag(secret, "v", (1, 0))
    assert len(shared.derive_tag(secret, "v", (0, 1))) == shared.TAG_BYTES


def test_the_masks_of_two_sites_cancel():
    vector = np.arange(1000, dtype=np.uint64)
    total = vector.copy()
    shared.add_pair_mask(total, bytes(32), "binding", (0, 1))
    assert not (total == vector).any()
    shared.add_pair_mask(total, bytes(32), "binding", (1, 0))
    assert (total == vector).all()
    shared.add_self_mask(total, bytes(32), "binding")
    shared.add_self_mask(total, bytes(32), "binding", sign=-1)
    assert (total == vector).all()


def test_bytes_travel_as_tensors():
    tensor = shared.make_bytes_tensor(bytes(range(12)), 3, 4)
    assert shared.read_bytes({"#x": tensor}, "#x", 3, 4) == bytes(range(12))
    for wrong in ({}, {"#x": tensor.int()}, {"#x": tensor[:2]}):
        with pytest.raises(ValueError, match=r"expected #x of \(3, 4\) uint8"):
            shared.read_bytes(wrong, "#x", 3, 4)
    assert shared.split_bytes(b"aabbcc", 2) == [b"aa", b"bb", b"cc"]


def test_a_site_without_boxes_has_zeros():
    row = 4 * shared.BOX_BYTES
    boxes = bytes([1]) * row + bytes(row) + bytes(row - 1) + b"\1" + bytes(row)
    assert shared.list_present(SESSION, boxes) == ("a", "c")


def test_a_box_is_read_as_it_was_made():
    content = shared.BoxContent(bytes(32), b"\1" * 66, b"\2" * 66)
    assert shared.BoxContent.parse(b"".join(content)) == content
