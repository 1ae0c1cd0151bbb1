"""What benchmarks share: repetitions taken in turn, the memory of a family of processes, other revisions, a report."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import psutil
import torch

from sim.runs.meter import measure_memory_mb

ROOT = Path(__file__).parent.parent


@dataclass
class Times:
    """Seconds of every repetition; the spread shows how quiet the machine was.

    busy: seconds of processor time, of this process and its children: what others do on the machine hardly shows.
    """

    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.3g} ({min(self.seconds):.3g} to {max(self.seconds):.3g})"


def in_turn(calls: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, Times]:
    """Every call once, in order, `repetitions` times over: a busy spell of the machine then falls on all of them."""
    taken = {name: Times() for name in calls}
    for _ in range(repetitions):
        for name, call in calls.items():
            begun, worked = time.perf_counter(), _busy_s()
            call()
            taken[name].seconds.append(time.perf_counter() - begun)
            taken[name].busy.append(_busy_s() - worked)
    return taken


def _busy_s() -> float:
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


def ratio(upper: Times, lower: Times) -> float:
    """The median over repetitions of one call's time over another's, taken in the same turn."""
    return _median_ratio(upper.seconds, lower.seconds)


def busy_ratio(upper: Times, lower: Times) -> float:
    """The same of processor time."""
    return _median_ratio(upper.busy, lower.busy)


def _median_ratio(upper: Sequence[float], lower: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(upper, lower, strict=True))


class Peak:
    """The most memory (MB, PSS) that this process and its children held together while open.

    Asking costs tens of milliseconds with gigabytes mapped, so it is asked rarely: more often slows what it sees.
    """

    def __init__(self, interval_s: float = 1.0) -> None:
        self.before = measure_memory_mb()
        self.most = self.before
        self._interval_s = interval_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(self._interval_s):
            self.most = max(self.most, measure_memory_mb())


@contextmanager
def check_out(revision: str) -> Iterator[Path]:
    """A revision of this repository in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", folder, revision], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)


def quiet() -> None:
    """One thread for every library, here and in the processes it starts: workers share cores, not threads."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def arguments(description: str | None, **numbers: int) -> argparse.Namespace:
    """The command line: whole numbers with their defaults, and --out."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


def publish(title: str, head: Sequence[str], rows: Sequence[Sequence[object]], out: Path | None) -> None:
    """A table on the terminal and, if asked for, the same as JSON with the machine beside it."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}")
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    figures = [dict(zip(head, row, strict=True)) for row in rows]
    print(f"machine: {machine()}")
    if out is not None:
        out.write_text(json.dumps({"title": title, "machine": machine(), "figures": figures}, indent=1, default=str))


def machine() -> dict[str, Any]:
    """What the figures depend on; load: runnable processes over the last minute, to be below the number of cores."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "opencv": cv2.__version__,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
