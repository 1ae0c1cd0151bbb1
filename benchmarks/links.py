"""A simulated round through our links, in memory and over Ray, against stock Flower's simulation by Ray: same client.

    python -m benchmarks.links [--rounds 4] [--repetitions 3] [--sites 0] [--small 1] [--large 1] [--ray 1] [--out FILE]

Three cases, two workers on each side. link: 52 sites that do next to nothing · tiny: 52 sites that train a fusion net
of about 500 parameters · large: 36 sites that each take one step with the paper's net of 134 MB. The first round
is left out: it opens the sites. Own work: the same clients answer the same tasks in the same number of processes, and
nothing is sent, screened or added. Each side that uses Ray has a local cluster of its own with two processors, and
is measured in the same way: a round's seconds as its coordinator sees them, the memory of all its processes. Aims: in
memory 10 times (link, tiny) and twice (large) as fast as Flower's, over Ray 1.5 times.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psutil

from benchmarks.measuring import Peak, Times, arguments, publish, quiet, ratio
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.protocol.messages import Task, Update
from ceus_models.runtime.process_tree import stop_processes
from ceus_models.study.taxonomy import SUBMODELS
from sim.engine.cluster.ray_cluster import RayCluster
from sim.engine.cluster.ray_link import RayLink
from sim.engine.memory_link import MemoryLink
from tests.support.clients import LESIONS, NET, SITES, Case, Opener, names_of, plan_of, task_of
from tests.support.federation import COHORT, recipe_for, rounds

WORKERS = 2
LIMIT_S = 1800
HELLO = Task("hello", study="", seed=0, stage="hello", round=0, cohorts=(COHORT,))
AIMS: dict[Case, str] = {"link": "10; 1.5", "tiny": "10; 1.5", "large": "2; 1.5"}
HEAD = (
    "case", "memory, s", "bare, s", "ours over Ray, s", "Flower, s", "Flower / memory", "Flower / ours over Ray",
    "aims", "memory / bare", "memory, MB", "ours over Ray, MB", "Flower, MB",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """seconds: a round after the first, median · extra_mb: peak of all processes over what they held before."""

    seconds: float
    extra_mb: float


NOTHING = Side(math.nan, math.nan)


def main() -> None:
    """Each case on each side, one after the other."""
    given = arguments(__doc__, rounds=4, repetitions=3, sites=0, small=1, large=1, ray=1)
    quiet()
    cases: list[Case] = [*(("link", "tiny") if given.small else ()), *(("large",) if given.large else ())]
    rows = [measured(case, given.sites or SITES[case], given) for case in cases]
    publish("a simulated round, two workers", HEAD, rows, given.out)


def measured(case: Case, sites: int, given: argparse.Namespace) -> tuple[object, ...]:
    """A row of the table: the sides in turn, the ratios pair by pair."""
    sides: list[tuple[Side, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(given.repetitions):
            place = Path(folder) / str(turn)
            place.mkdir()
            mine = ours(case, sites, given.rounds, Path(folder) / "ours")
            own = own_work(case, sites, given.rounds, Path(folder) / "ours")
            nodes = ours_over_ray(case, sites, given.rounds, Path(folder) / "nodes") if given.ray else NOTHING
            sides.append((mine, own, nodes, flowers(case, sites, given.rounds, place) if given.ray else NOTHING))
            print(case, *(f"{side.seconds:.3g} s {side.extra_mb:.0f} MB" for side in sides[-1]), sep="  ", flush=True)
    mine, own, nodes, flower = (Times([side[n].seconds for side in sides]) for n in range(4))
    return (
        f"{case}: {sites} sites",
        mine,
        own,
        nodes,
        flower,
        f"{ratio(flower, mine):.2f}",
        f"{ratio(flower, nodes):.2f}",
        AIMS[case],
        f"{ratio(mine, own):.2f}",
        *(f"{statistics.median(side[n].extra_mb for side in sides):.0f}" for n in (0, 2, 3)),
    )


def ours(case: Case, sites: int, number: int, folder: Path) -> Side:
    """The coordinator's own loop through MemoryLink."""
    with MemoryLink(dict.fromkeys(names_of(sites), 1.0), Opener(case, folder), WORKERS) as link:
        return _walk(case, sites, number, link)


def ours_over_ray(case: Case, sites: int, number: int, folder: Path) -> Side:
    """The same loop through RayLink, over a cluster of one node with two processors."""
    cluster = RayCluster(None, WORKERS, {"OMP_NUM_THREADS": "1"})
    with RayLink(dict.fromkeys(names_of(sites), 1.0), Opener(case, folder), cluster) as link:
        return _walk(case, sites, number, link)


def _walk(case: Case, sites: int, number: int, link: MemoryLink | RayLink) -> Side:
    plan = plan_of(case, number + 1)
    nets = [NET[case]] if case == "large" else [NET[case], *SUBMODELS]
    states = {net: build_initial_state(net, recipe_for(plan), 1) for net in nets}
    lesions = dict.fromkeys(names_of(sites), LESIONS[case])
    # everyone has its libraries and its lesions: what comes on top is the rounds'
    held = sum(isinstance(answer, Update) for _, answer in link.ask(HELLO, list(lesions)))
    if case != "link" and held != sites:
        raise RuntimeError(f"{held} of {sites} sites said hello")
    with Peak() as peak:
        seconds = rounds(plan, link, lesions, states)
    return Side(statistics.median(seconds[1:]), peak.most - peak.before)


def own_work(case: Case, sites: int, number: int, folder: Path) -> Side:
    """Seconds for the same answers in the same number of processes, with no link between them."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WORKERS + 1)
    shares = [names_of(sites)[worker::WORKERS] for worker in range(WORKERS)]
    started = [
        context.Process(target=_answer, args=(Opener(case, folder), share, number, barrier), daemon=True)
        for share in shares
    ]
    for process in started:
        process.start()
    seconds = []
    try:
        for _ in range(number + 1):
            barrier.wait(LIMIT_S)
            begun = time.perf_counter()
            barrier.wait(LIMIT_S)
            seconds.append(time.perf_counter() - begun)
    finally:
        for process in started:
            process.join(10)
            process.kill()
    return Side(statistics.median(seconds[1:]), math.nan)


def _answer(opener: Opener, share: list[str], number: int, barrier: Barrier) -> None:
    quiet()
    task = task_of(opener.case)
    sites = [opener(name) for name in share]
    for turn in range(1, number + 2):
        barrier.wait(LIMIT_S)
        for site in sites:
            site.handle(replace(task, round=turn))
        barrier.wait(LIMIT_S)


def flowers(case: Case, sites: int, number: int, folder: Path) -> Side:
    """Flower's simulation in a process of its own; nothing of it is left running."""
    out = folder / "ray.json"
    env = os.environ | {
        "FEDCEUS_BENCH_CASE": case,
        "FEDCEUS_BENCH_FOLDER": str(folder / "theirs"),
        "FLWR_HOME": str(folder / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(folder),
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    command = [sys.executable, "-m", "benchmarks.flower", str(sites), str(number + 1), str(out)]
    with (folder / "ray.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        family: list[psutil.Process] = []
        try:
            until = time.monotonic() + LIMIT_S
            while process.poll() is None and time.monotonic() < until:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                time.sleep(1)
        finally:
            stop_processes([one for one in family if one.is_running()], 5.0)
            process.wait()
    if not out.is_file():
        tail = (folder / "ray.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"Flower's simulation ended without figures:\n{tail}")
    figures = json.loads(out.read_text(encoding="utf-8"))
    return Side(statistics.median(figures["seconds"][1:]), figures["peak_mb"] - figures["before_mb"])


if __name__ == "__main__":
    main()
