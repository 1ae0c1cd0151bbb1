"""Processor time of starting: every `--help` of the three programs, and the commands that a person waits for.

`python -m benchmarks.startup --repetitions 5`: user and system time of whole processes, without what waits.
"""

from __future__ import annotations

import importlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import ROOT, arguments, publish
from ceus_models.runtime.commands.lazy_commands import LazyGroup
from tests.support.quick_commands import PROGRAMS, list_helps, list_quick

HELP_S, QUICK_S = 0.5, 1.0
SHOWN = 12


def main() -> None:
    """Measure and print; exit 1 where a command takes longer than its aim."""
    options = arguments(__doc__, repetitions=5)
    helps = [(name, *words) for name, package in PROGRAMS.items() for words in list_helps(_program(package))]
    for words in helps:
        _measure(words)  # what is compiled once
    times = {words: [_measure(words) for _ in range(options.repetitions)] for words in helps}
    worst = sorted(times, key=lambda words: -statistics.median(times[words]))
    rows = [_row(words, times[words], HELP_S) for words in worst[:SHOWN]]
    publish(f"the slowest of {len(helps)} helps, s of processor", _HEAD, rows, None)
    quick: dict[tuple[str, ...], list[float]] = {}
    for _ in range(options.repetitions):
        with tempfile.TemporaryDirectory() as folder:
            for words in list_quick(Path(folder)):
                quick.setdefault(tuple(word for word in words if not word.startswith("/")), []).append(_measure(words))
    answers = [_row(words, taken, QUICK_S) for words, taken in quick.items()]
    publish("commands that a person waits for, s of processor", _HEAD, answers, options.out)
    sys.exit(any(row[-1] == "missed" for row in (*rows, *answers)))


_HEAD = ("command", "median", "least", "most", "aim", "met")


def _row(words: Sequence[str], taken: list[float], aim: float) -> tuple[str, ...]:
    median = statistics.median(taken)
    figures = (f"{median:.2f}", f"{min(taken):.2f}", f"{max(taken):.2f}", f"{aim:g}")
    return (" ".join(words), *figures, "yes" if median <= aim else "missed")


def _program(package: str) -> LazyGroup:
    found: LazyGroup = importlib.import_module(f"{package}.cli.main").app
    return found


def _measure(words: Sequence[str]) -> float:
    """Seconds of processor of a process from its start to its end."""
    program = Path(sys.executable).parent / words[0]
    before = _busy_s()
    subprocess.run(
        [str(program), *words[1:]], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return _busy_s() - before


def _busy_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
