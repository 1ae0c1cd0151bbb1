"""The study's loop: ask, screen, absorb, save, until the plan has no stage left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ceus_models.wire import Task
from server.checkpoints import Store
from server.exchange import Call, Link, gather
from server.participation import Fate, Record, require
from server.plan import Plan
from server.progress import Point, Progress, on_wire, submodels
from server.screening import Gate, reference_of
from server.stages import Stage
from server.study import Study


@dataclass(frozen=True)
class Started:
    """A round begins: number `step` + 1 of the stage's `steps`."""

    stage: str
    kind: str
    round: int
    step: int
    steps: int
    nets: tuple[str, ...]
    sites: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """A site is done, as `done` of `asked`."""

    stage: str
    round: int
    site: str
    fate: Fate
    reason: str
    done: int
    asked: int


@dataclass(frozen=True)
class Finished:
    """A round is absorbed. points: what it adds to the learning curves."""

    record: Record
    step: int
    steps: int
    points: tuple[Point, ...]


Event = Started | Answered | Finished
Listener = Callable[[Event], None]


def run(plan: Plan, link: Link, store: Store, seed: int, on_event: Listener | None = None) -> Progress:
    """The whole study, from the last saved round on. The result is the same wherever it was interrupted.

    Raises ExpectedError if a round misses its quorum or the store holds another study.
    """
    study = plan.study(seed)
    progress = store.latest(study.digest, seed) or Progress()
    while stage := plan.current(progress.stage):
        progress = _advance(stage, progress, plan, study, _Desk(link, on_event or _silent))
        store.save(progress, study.digest, seed)
    return progress


@dataclass(frozen=True)
class _Desk:
    link: Link
    tell: Listener


def _advance(stage: Stage, progress: Progress, plan: Plan, study: Study, desk: _Desk) -> Progress:
    """One round of `stage`: the progress after it."""
    begun = time.monotonic()
    before = stage.prepare(progress, study)
    task = stage.task(before, study)
    sites = asked_in(task, before, desk.link)
    desk.tell(Started(stage.name, task.kind, task.round, before.step, stage.steps(), task.nets, sites))
    call = Call(
        task=task,
        gate=Gate(task, study.screening, before.counts, reference_of(before, task), len(sites)),
        sites=sites,
        summand=stage.summand,
        frozen=lambda: on_wire(submodels(before)),
        tell=_teller(task, len(sites), desk.tell),
    )
    total, record = gather(desk.link, call)
    require(record, plan.quorum)
    after = stage.absorb(before, study, total, record)
    record = replace(record, seconds=time.monotonic() - begun)
    new = after.curves[len(before.curves) :]
    desk.tell(Finished(record, before.step + 1, stage.steps(), new))
    return after.stepped(stage.steps(), record)


def asked_in(task: Task, progress: Progress, link: Link) -> tuple[str, ...]:
    """Everyone for a hello; after it, the admitted sites that have lesions in the task's cohorts, connected or not."""
    if task.kind == "hello":
        return tuple(sorted(link.sites()))
    return tuple(sorted(site for site in progress.counts if progress.lesions(site, task.cohorts)))


def _teller(task: Task, asked: int, tell: Listener) -> Callable[[str, Fate, str], None]:
    done: list[str] = []

    def told(site: str, fate: Fate, reason: str) -> None:
        done.append(site)
        tell(Answered(task.stage, task.round, site, fate, reason, len(done), asked))

    return told


def _silent(event: Event) -> None:
    """Nobody listens."""
