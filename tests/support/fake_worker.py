"""A worker process whose site answers from made-up lesions: FOLDER SOCKET."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from ceus_models.protocol.messages import Refusal, Task, Update
from client.worker.process import serve
from tests.support.fake_sites import FakeSite, lesions_of

HELD = {
    "site-01": {"training_a": 12, "validation": 6, "external_test_c": 5},
    "site-50": {"training_a": 9, "internal_test": 8},
}


class Site(FakeSite):
    def handle(self, task: Task) -> Update | Refusal:
        return self.answer(task)


def site(name: str) -> Site:
    return Site(name, lesions_of(name, HELD[name]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve(Path(sys.argv[2]), site(Path(sys.argv[1]).name))
