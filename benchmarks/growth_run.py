"""One run of the growth benchmark, in a process of its own: so many sites, one link, from hello to the report.

Run by benchmarks.growth. Sites cost next to nothing (`benchmarks.growth_sites`): what is left is the study's own work.
"""

from __future__ import annotations

import cProfile
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from benchmarks.growth_sites import Twin
from benchmarks.measuring import quiet
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.stages import Evaluate
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Task
from ceus_models.study.taxonomy import COHORTS
from server.report.publish import REPORT, RESULTS, publish_report
from server.results.results import collect_results
from server.rounds.coordinator import run
from server.rounds.events import Event, Finished
from server.rounds.round_log import RoundLog
from server.rounds.saving.checkpoint_header import checkpoint_files
from server.rounds.saving.checkpoints import Store
from sim.engine.cluster.ray_cluster import RayCluster
from sim.engine.cluster.ray_link import RayLink
from sim.engine.memory_link import MemoryLink

PLAN = Path(__file__).parent.parent / "configs" / "plan.smoke.yaml"
WORKERS = 2
SEED = 1
HELLO = Task("hello", study="", seed=0, stage="hello", round=0, cohorts=tuple(COHORTS))


@dataclass(frozen=True)
class Grown:
    """What one run took.

    Args:
        seconds: of the rounds, checkpoints included, from open sites on.
        round_ms: of one site in one round, median over the rounds.
        report_s: of results and report.
        coordinator_mb: peak of the coordinator's process; before_mb: what it held before the first round.
        checkpoint_kb: the last checkpoint; results_kb, report_kb: results.json and report.html.
    """

    sites: int
    rounds: int
    seconds: float
    round_ms: float
    report_s: float
    coordinator_mb: float
    before_mb: float
    checkpoint_kb: float
    results_kb: float
    report_kb: float


def plan_of(rounds: int) -> Plan:
    """The smoke plan with so many rounds of the five-class net, and one of the sub-models."""
    plan = load_plan(PLAN)
    stages = []
    for stage in plan.stages:
        if isinstance(stage, Train):
            stage = replace(stage, rounds=rounds if stage.name == "strategy_a" else 1, validate=None)  # noqa: PLW2901
        if isinstance(stage, Evaluate):
            stage = replace(stage, replicates=10)  # noqa: PLW2901
        stages.append(stage)
    return replace(plan, stages=tuple(stages))


def main() -> None:
    """Arguments: memory or ray, sites, rounds, folder; with PROFILE set, the profile goes there."""
    link, sites, rounds, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    quiet()
    names = [f"site-{number:04d}" for number in range(sites)]
    with _profiled(os.environ.get("PROFILE")):
        grown = _walk(link, names, plan_of(rounds), folder)
    (folder / "grown.json").write_text(json.dumps(asdict(grown)), encoding="utf-8")


@contextmanager
def _profiled(path: str | None) -> Iterator[None]:
    profile = cProfile.Profile()
    if path:
        profile.enable()
    yield
    if path:
        profile.disable()
        profile.dump_stats(path)


def _walk(name: str, sites: list[str], plan: Plan, folder: Path) -> Grown:
    log, seconds = RoundLog(folder), list[float]()

    def heard(event: Event) -> None:
        log.append(event)
        if isinstance(event, Finished):
            seconds.append(event.record.seconds / len(event.record.asked))
            if event.record.lost or event.record.excluded or event.record.refused:
                raise RuntimeError(
                    f"a benchmark counts all sites, but: {event.record.excluded or event.record.refused}"
                )

    with _open(name, dict.fromkeys(sites, 1.0)) as link:
        opened = sum(1 for _ in link.ask(HELLO, link.sites()))
        before, begun = psutil.Process().memory_info().rss / 2**20, time.perf_counter()
        progress = run(plan, link, Store(folder), SEED, heard)
        ended = time.perf_counter()
    publish_report(collect_results(progress, plan, SEED) | {"skipped": {}}, folder)
    published = time.perf_counter()
    return Grown(
        sites=opened,
        rounds=len(seconds),
        seconds=ended - begun,
        round_ms=statistics.median(seconds) * 1000,
        report_s=published - ended,
        coordinator_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        before_mb=before,
        checkpoint_kb=checkpoint_files(folder)[-1].stat().st_size / 1024,
        results_kb=(folder / RESULTS).stat().st_size / 1024,
        report_kb=(folder / REPORT).stat().st_size / 1024,
    )


def _open(name: str, costs: dict[str, float]) -> MemoryLink | RayLink:
    if name == "memory":
        return MemoryLink(costs, Twin, WORKERS)
    return RayLink(costs, Twin, RayCluster(None, WORKERS, {"OMP_NUM_THREADS": "1"}))


if __name__ == "__main__":
    main()
