"""Coordinators that kill themselves (SIGKILL), for tests: FOLDER POINT…; one after the other, each in FOLDER/POINT.

Everything is imported once and each coordinator is a fork, so that eight kills cost one start.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from faulty_sites import PLAN, Post, link_of

import server.rounds.saving.checkpoints
from ceus_models.plan.strategies import FedAvg
from ceus_models.protocol.sums import ExactSum
from ceus_models.runtime import atomic_files
from ceus_models.runtime.seeds import derive_seed
from server.rounds.coordinator import run
from server.rounds.events import Answered, Event, Finished, Started
from server.rounds.saving.checkpoints import Store
from server.transport.message_log import MessageLog

SEED = 7
ROUND = 2
POINTS = ("asking", "answers", "adding", "stepping", "writing", "before the rename", "after the rename", "told")


def tiny(net: str, recipe: object, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(derive_seed(seed, net))
    return {name: torch.randn(shape, generator=generator) for name, shape in (("w", (3, 2)), ("bias", (2,)))}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def walk(folder: Path, point: str) -> None:
    """The plan, up to the point in the second round of training."""
    here = [False]

    def event(told: Event) -> None:
        if isinstance(told, Started):
            here[0] = (told.kind, told.round) == ("train", ROUND)
        third = isinstance(told, Answered) and told.done == 3
        now = {"asking": isinstance(told, Started), "answers": third, "told": isinstance(told, Finished)}
        if here[0] and now.get(point):
            die()

    def before(call: Callable[..., object], at: str) -> Callable[..., object]:
        def dying(*arguments: object) -> object:
            if here[0] and point == at:
                die()
            return call(*arguments)

        return dying

    def half(path: Path, *rest: object) -> None:
        write(path, *rest)
        if here[0] and point == "writing":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            die()

    write, sync = server.rounds.saving.checkpoints._write, atomic_files._sync

    def synced(path: Path) -> None:
        sync(path)
        if here[0] and (point, path.is_dir()) in (("before the rename", False), ("after the rename", True)):
            die()

    with (
        patch.object(ExactSum, "add", before(ExactSum.add, "adding")),
        patch.object(FedAvg, "step", before(FedAvg.step, "stepping")),
        patch("server.rounds.saving.checkpoints._write", half),
        patch("ceus_models.runtime.atomic_files._sync", synced),
        patch("ceus_models.plan.rounds.training.build_initial_state", tiny),
    ):
        run(PLAN, link_of(Post(), MessageLog(folder)), Store(folder), SEED, event)


def main() -> None:
    scratch, points = Path(sys.argv[1]), sys.argv[2:]
    for point in points:
        child = os.fork()
        if child == 0:
            walk(scratch / point, point)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(f"{point}: {-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}", flush=True)


if __name__ == "__main__":
    main()
