"""A run that kills itself (SIGKILL) in the middle of a kind of stage, for tests: PLAN OUT SEED WORKERS KIND."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from server.rounds.events import Answered, Event, Started
from sim.hospital.prepare import Prepared
from sim.runs.run import Settings, Watcher, run_study


def main() -> None:
    plan, out, seed, workers, kind = sys.argv[1:]
    running = [""]

    def die(reason: str) -> None:
        if reason == kind:
            os.kill(os.getpid(), signal.SIGKILL)

    def hospital(made: Prepared, lesions: int) -> None:
        die("hospitals")

    def event(told: Event) -> None:
        if isinstance(told, Started):
            # the second round of training, so that there is a checkpoint of the stage to go on from
            running[0] = told.kind if told.kind != "train" or told.step else ""
        if isinstance(told, Answered) and told.done == 2:
            die(running[0])

    run_study(Settings(Path(plan), Path(out), int(seed), int(workers)), Watcher(hospital, event))


if __name__ == "__main__":
    main()
