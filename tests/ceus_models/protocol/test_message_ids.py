from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.message_ids import compute_content_id
from ceus_models.protocol.messages import Task, Update
from ceus_models.protocol.task_id import compute_task_id

TASK = Task("train", "plan", 7, "submodels", 3, inputs={"net|w": torch.arange(6.0)})


def test_a_task_has_one_id_however_often_it_is_sent_and_whatever_it_carries() -> None:
    assert compute_task_id(replace(TASK, inputs={})) == compute_task_id(TASK)
    others = [{"study": "x"}, {"seed": 8}, {"stage": "fusion"}, {"round": 4}, {"kind": "evaluate"}]
    assert len({compute_task_id(TASK), *(compute_task_id(replace(TASK, **other)) for other in others)}) == 6


def test_both_ends_get_the_same_id_from_the_bytes() -> None:
    for message in (TASK, Update("site-01", {"net|w": torch.ones(2, 3)}, 6.0)):
        raw = to_bytes(message)
        assert compute_content_id(message) == (hashlib.sha256(raw).hexdigest(), len(raw))
        assert compute_content_id(decode(bytearray(raw))) == compute_content_id(message)
