"""Twelve real sites walk the smoke plan: the numbers of the memory run, seconds a round, memory by kind of process.

    python -m benchmarks.many_sites [--few 0] [--out FILE]

Every site is its four processes (service, worker, node, runner) behind TLS, node keys and the front door, on made-up
samples; some 0.65 GB a site. few: the same with so many sites first, to see what grows on the coordinator's side. The
52 sites of the study are in `benchmarks.distant_sites`. Needs nginx.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.faults import SEED
from benchmarks.measuring import arguments, publish, quiet
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.process_tree import ProcessGroup
from tests.support.made_sites import digests_in_memory, digests_of_run, held_by, made_site
from tests.support.real_federation import ROOT, Federation, here

PLAN = ROOT / "configs" / "plan.smoke.yaml"
CENTERS = (1, 2, 3, 4, 5, 6, 37, 38, 39, 50, 51, 52)
LESIONS = 6
LIMIT_S = 2400.0
OURS = ("up", "SuperLink", "SuperExec", "ServerApp", "front door")


@dataclass
class Walked:
    """peaks_mb: the most memory (PSS) of the coordinator's kinds, and of a whole site · rounds: seconds of each."""

    sites: int
    same: bool
    counted: bool
    seconds: float
    rounds: list[float]
    peaks_mb: dict[str, float]


def walk(scratch: Path, centers: tuple[int, ...]) -> Walked:
    """The whole smoke plan. Raises AssertionError where it does not end well."""
    plan = load_plan(PLAN)
    folders = {
        f"site-{n:02d}": made_site(scratch / f"site-{n:02d}", n, held_by(n, LESIONS), plan.processing) for n in centers
    }
    peaks: dict[str, float] = {}
    with ProcessGroup(scratch / "logs") as fleet:
        federation = Federation(scratch / "study", folders, fleet, here)
        federation.begin(PLAN, SEED)
        begun = time.monotonic()
        federation.order()
        while federation.state()["phase"] not in ("done", "failed", "stopped"):
            assert time.monotonic() < begun + LIMIT_S, "the run does not end"
            for what, size in _held(federation).items():
                peaks[what] = max(peaks.get(what, 0.0), size)
            time.sleep(2.0)
        seconds = time.monotonic() - begun
        assert federation.state()["phase"] == "done", federation.state()
        records = [e["record"] for e in federation.told() if e["event"] == "Finished"]
    memory = digests_in_memory(plan, folders, SEED, scratch / "memory")
    return Walked(
        sites=len(centers),
        same=digests_of_run(plan, federation.of_study() / "run", SEED) == memory,
        counted=all(record["counted"] and not record["lost"] for record in records),
        seconds=seconds,
        rounds=[record["seconds"] for record in records],
        peaks_mb=peaks,
    )


def _held(federation: Federation) -> dict[str, float]:
    """Memory in MB: of the coordinator's kinds of process, and of the largest site."""
    found: dict[str, float] = {}
    for folder in (federation.study, *federation.sites.values()):
        total = 0.0
        for what, processes in federation.kinds(folder).items():
            for process in processes:
                with suppress(psutil.Error):
                    size = process.memory_full_info().pss / 2**20
                    total += size
                    if what in OURS:
                        found[what] = found.get(what, 0.0) + size
        if folder != federation.study:
            found["a site"] = max(found.get("a site", 0.0), total)
    return found


HEAD = ("sites", "as in memory", "all counted", "seconds", "a round, median", *(f"{k}, MB" for k in (*OURS, "a site")))


def row(walked: Walked) -> tuple[object, ...]:
    """As the table has it."""
    held = (f"{walked.peaks_mb.get(what, 0.0):.0f}" for what in (*OURS, "a site"))
    median = f"{statistics.median(walked.rounds):.1f}"
    return (walked.sites, walked.same, walked.counted, f"{walked.seconds:.0f}", median, *held)


def main() -> None:
    """A row for each number of sites."""
    given = arguments(__doc__, few=0)
    quiet()
    rows = []
    for centers in ((*CENTERS[: given.few - 3], *CENTERS[-3:]) if given.few else (), CENTERS):
        if centers:
            with tempfile.TemporaryDirectory(prefix="ceus-many-") as folder:
                rows.append(row(walk(Path(folder), centers)))
                print(*rows[-1], flush=True)
    publish("the smoke plan over real sites", HEAD, rows, given.out)


if __name__ == "__main__":
    main()
