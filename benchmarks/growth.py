"""What grows with the number of sites: time, the coordinator's memory, checkpoint and report.

    python -m benchmarks.growth [--few 52] [--some 520] [--many 5200] [--rounds 4] [--ray 1] [--out FILE]

A whole study of tiny nets over sites that answer from made-up lesions, on the memory link and over a local Ray cluster
of one node, two workers each. Each run is a process of its own. Aims, of the many over the few: time a site at most 1.2
times, the coordinator's memory at most 1.5 times; the report below 10 MB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.growth_run import Grown
from benchmarks.measuring import arguments, publish, quiet

LIMIT_S = 7200
HEAD = (
    "link", "sites", "rounds, s", "a site and round, ms", "over the few", "report, s", "coordinator, MB",
    "over the few, MB", "checkpoint, KB", "results, KB", "report, KB",
)  # fmt: skip


def main() -> None:
    """A row for each link and number of sites."""
    given = arguments(__doc__, few=52, some=520, many=5200, rounds=4, ray=1)
    quiet()
    rows: list[tuple[object, ...]] = []
    for link in ("memory", "ray") if given.ray else ("memory",):
        first: Grown | None = None
        for sites in filter(None, (given.few, given.some, given.many)):
            found = measure(link, sites, given.rounds)
            first = first or found
            rows.append(row(link, found, first))
            print(*rows[-1], sep="  ", flush=True)
    publish("a study over many sites, two workers", HEAD, rows, given.out)


def measure(link: str, sites: int, rounds: int) -> Grown:
    """One run, in a process of its own. Raises RuntimeError where it does not end well."""
    with tempfile.TemporaryDirectory(prefix="ceus-growth-") as folder:
        command = [sys.executable, "-m", "benchmarks.growth_run", link, str(sites), str(rounds), folder]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if ended.returncode:
            raise RuntimeError(f"{sites} sites by {link}: {ended.stderr[-3000:]}")
        return Grown(**json.loads((Path(folder) / "grown.json").read_text(encoding="utf-8")))


def row(link: str, found: Grown, first: Grown) -> tuple[object, ...]:
    """As the table has it."""
    each = found.seconds / found.sites / found.rounds * 1000
    own = first.seconds / first.sites / first.rounds * 1000
    sizes = (f"{size:.0f}" for size in (found.checkpoint_kb, found.results_kb, found.report_kb))
    memory = found.coordinator_mb / first.coordinator_mb
    return (
        link, found.sites, f"{found.seconds:.1f}", f"{each:.2f}", f"{each / own:.2f}", f"{found.report_s:.1f}",
        f"{found.coordinator_mb:.0f}", f"{memory:.2f}", *sizes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
