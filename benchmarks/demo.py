"""The demo by its phases: wall time, processor time and peak memory; of two revisions one after the other.

    python -m benchmarks.demo [--before REVISION] [--plan FILE] [--workers 2] [--seed 1] [--out FILE]

Each runs `ceus-sim run` from an empty folder, as `make demo` does, in a process of its own. A phase ends with the last
line that the run prints of it; the first one holds the start, the last one results, bundle and report. Memory is what
all processes hold together at most, shared pages counted once (`sim/runs/meter.py`). Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, check_out, publish

HOSPITALS, REST = "hospitals", "results, report"


@dataclass(frozen=True)
class Demo:
    """One finished run. seconds: of each phase · busy_s: of all processors · results: `results.json`."""

    seconds: dict[str, float]
    busy_s: float
    results: dict[str, Any]

    def memory_mb(self, phase: str) -> object:
        """The most in one phase; "" for the last, which the run does not measure."""
        entry = self.results["stages"].get(phase, {})
        return entry.get("peak_memory_mb") or ""


def main() -> None:
    """Run all, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="a revision to compare with, which runs first")
    parser.add_argument("--plan", default="configs/plan.demo.yaml", help="default configs/plan.demo.yaml")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    given = parser.parse_args()
    options = ("--seed", str(given.seed), "--workers", str(given.workers))
    runs: dict[str, Demo] = {}
    with ExitStack() as stack:
        trees = {"before": stack.enter_context(check_out(given.before))} if given.before else {}
        for name, tree in {**trees, "now": ROOT}.items():
            runs[name] = run_demo(tree, given.plan, options)
    head = ("phase", *(f"{name}, {unit}" for name in runs for unit in ("s", "MB")))
    equal = len({json.dumps(run.results["digests"], sort_keys=True) for run in runs.values()}) == 1
    title = f"{given.plan}, {given.workers} workers" + (f"; digests equal: {equal}" if given.before else "")
    publish(title, head, list(list_rows(runs)), given.out)


def run_demo(tree: Path, plan: str, options: Sequence[str]) -> Demo:
    """Run the plan of a tree from an empty folder. Raises CalledProcessError where it fails."""
    program = [sys.executable, "-c", "from sim.cli.main import main; main()", "run", plan]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    with tempfile.TemporaryDirectory() as folder:
        command = [*program, "--out", folder, *options]
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True)
        ends = {phase: seconds - begun for phase, seconds in follow(process)}
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        results = json.loads(Path(folder, "results.json").read_text(encoding="utf-8"))
    ends[REST] = time.monotonic() - begun
    starts = [0.0, *ends.values()]
    seconds = {phase: end - start for (phase, end), start in zip(ends.items(), starts, strict=False)}
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Demo(seconds, busy, results)


def follow(process: subprocess.Popen[str]) -> Iterator[tuple[str, float]]:
    """The phase of each line that a run prints of its progress, and when it came."""
    if process.stdout is None:
        raise RuntimeError("the process has a pipe")
    for line in process.stdout:
        name, colon, rest = line.partition(": ")
        if colon and rest.rstrip().endswith("lesions read"):
            yield HOSPITALS, time.monotonic()
        elif colon and " sites counted, " in rest:
            yield name, time.monotonic()


def list_rows(runs: dict[str, Demo]) -> Iterator[Sequence[object]]:
    """Each phase of the runs, all phases, and the processors' time."""
    for phase in list(runs.values())[-1].seconds:
        cells = ((round(run.seconds.get(phase, 0.0), 1), run.memory_mb(phase)) for run in runs.values())
        yield (phase, *(cell for pair in cells for cell in pair))
    most = {name: max(e["peak_memory_mb"] or 0 for e in run.results["stages"].values()) for name, run in runs.items()}
    yield ("all", *(cell for name, run in runs.items() for cell in (round(sum(run.seconds.values()), 1), most[name])))
    yield ("processor", *(cell for run in runs.values() for cell in (round(run.busy_s, 1), "")))


if __name__ == "__main__":
    main()
