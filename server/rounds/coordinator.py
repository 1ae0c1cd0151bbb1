"""The main loop of a study: run one round after the other and save a checkpoint after each, until the plan ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ceus_models.plan.plan import Plan, Stage
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.rounds.backbones import read_pretrained
from ceus_models.plan.terms.participation import Fate, RoundRecord, check_quorum
from ceus_models.plan.terms.settings import Study
from ceus_models.plan.train_stage import Train
from ceus_models.plan.wire_nets import on_wire, submodels
from ceus_models.protocol.messages import Task
from ceus_models.protocol.privacy.secure_levels import SECURE_LEVELS
from ceus_models.protocol.state import State
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.seeds import derive_seed
from server.rounds.events import Answered, Event, Finished, Listener, Started
from server.rounds.opening_file import OpeningFile
from server.rounds.roster_file import read_roster
from server.rounds.round import Call, Link, gather_answers
from server.rounds.saving.checkpoints import Store
from server.rounds.screening import Gate, compute_reference
from server.rounds.secure_round import gather_sums


class StopRequested(ExpectedError):
    """The study stopped between two rounds, as requested."""


def run(
    plan: Plan,
    link: Link,
    store: Store,
    seed: int,
    on_event: Listener | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Progress:
    """Run the whole study from the last saved round. The result does not depend on interruptions.

    Args:
        on_event: called for each event.
        stopping: checked between rounds; the study stops if it returns True.

    Raises:
        ExpectedError: if a round misses its quorum, or the store holds another study.
        StopRequested: if `stopping` returned True.
    """
    study = replace(plan.study(seed), pretrained=read_pretrained(plan.pretrained, plan.architecture))
    file = OpeningFile(store.folder)
    desk = _RoundRunner(plan, study, link, on_event or _ignore_event, file, read_roster(store.folder))
    progress = store.latest(study.digest, seed) or Progress()
    while stage := plan.current(progress.stage):
        if stopping():
            raise StopRequested(f"stopped before {stage.name}, as asked; `ceus-coordinator run` continues from there")
        progress = desk.run_round(stage, desk.admit_newcomers(progress))
        store.save(progress, study.digest, seed)
        file.remove()
    return progress


@dataclass(frozen=True)
class _RoundRunner:
    plan: Plan
    study: Study
    link: Link
    tell: Listener
    file: OpeningFile
    roster: str

    def run_round(self, stage: Stage, progress: Progress) -> Progress:
        """Run one round of `stage`; the progress after it."""
        if progress.stage:
            check_reachable(self.plan, progress)
        begun = time.monotonic()
        rounds = find_rounds(stage)
        before = rounds.prepare(progress, self.study)
        task = rounds.task(before, self.study)
        sites = eligible_sites(task, before, self.link)
        if isinstance(stage, Train) and task.kind == "train":
            least = self.plan.least_sites()[stage.name]
            sites = sample_sites(task, sites, stage.share, self.plan.quorum.required, least)
        total, record = self._ask(stage, before, task, sites)
        check_quorum(record, self.plan.quorum)
        after = rounds.absorb(before, self.study, total, record)
        record = replace(record, seconds=time.monotonic() - begun)
        self._finish(record, before, after, stage)
        return after.advance(stage.steps(), record)

    def admit_newcomers(self, progress: Progress) -> Progress:
        """Before a round, send hello to sites that connected after the first hello."""
        sites = newcomers(progress, self.link.sites()) if self.plan.late == "next_round" else ()
        if not sites:
            return progress
        begun = time.monotonic()
        stage = self.plan.stages[0]
        at_start = replace(progress, step=0, recipe=None, frozen="")  # exactly the task that the other sites received
        rounds = find_rounds(stage)
        total, record = self._ask(stage, at_start, rounds.task(at_start, self.study), sites)
        after = rounds.absorb(progress, self.study, total, record)
        record = replace(record, seconds=time.monotonic() - begun)
        self._finish(record, at_start, after, stage)
        return replace(after, participation=(*after.participation, record))

    def _ask(self, stage: Stage, before: Progress, task: Task, sites: tuple[str, ...]) -> tuple[State, RoundRecord]:
        self.tell(Started(stage.name, task.kind, task.round, before.step, stage.steps(), task.nets, sites))
        reference, required = compute_reference(before, task), self.plan.software
        call = Call(
            task=task,
            gate=Gate(task, self.study.screening, before.counts, reference, len(sites), required),
            sites=sites,
            summand=find_rounds(stage).summand,
            frozen=lambda: on_wire(submodels(before)),
            tell=_event_reporter(task, len(sites), self.tell),
            roster=self.roster,
        )
        if task.level in SECURE_LEVELS:
            return gather_sums(self.link, call, before.keys, self.file)
        return gather_answers(self.link, call)

    def _finish(self, record: RoundRecord, before: Progress, after: Progress, stage: Stage) -> None:
        self.tell(Finished(record, before.step + 1, stage.steps(), after.curves[len(before.curves) :]))


def newcomers(progress: Progress, connected: Sequence[str]) -> tuple[str, ...]:
    """Connected sites that are not admitted and were absent in the previous round.

    At the beginning of a stage, also those that were refused or excluded at hello: they may have been repaired.
    """
    if not progress.participation:
        return ()  # the first hello asks everyone
    known = set() if progress.step == 0 else set(progress.participation[-1].registered)
    return tuple(sorted(set(connected) - progress.counts.keys() - known))


def check_reachable(plan: Plan, progress: Progress) -> None:
    """Raise ExpectedError if a stage that is still to come has too few admitted sites with lesions of its cohorts."""
    short = []
    for stage in plan.stages[progress.stage :]:
        asked = tuple({*getattr(stage, "cohorts", ()), *getattr(stage, "fusion_cohorts", ())})
        able = sorted(site for site in progress.counts if progress.count_lesions(site, asked))
        least = plan.least_sites()[stage.name]
        if len(able) < least:
            short.append(
                f"{stage.name} needs at least {least} sites, {len(able)} can answer ({', '.join(able) or 'none'})"
            )
    if short:
        raise ExpectedError(
            f"too few sites hold lesions for the plan: {'; '.join(short)}. Let more sites join, then run the same "
            "command again; or state a smaller quorum.sites in the plan, which every site then approves anew"
        )


def eligible_sites(task: Task, progress: Progress, link: Link) -> tuple[str, ...]:
    """All connected sites for hello; later the admitted sites with lesions in the task's cohorts, connected or not."""
    if task.kind == "hello":
        return tuple(sorted(link.sites()))
    return tuple(sorted(site for site in progress.counts if progress.count_lesions(site, task.cohorts)))


def sample_sites(
    task: Task, sites: Sequence[str], share: float, required: Sequence[str] = (), least: int = 1
) -> tuple[str, ...]:
    """Sample a share of the sites, at least `least`, and add the required ones.

    The sample depends only on (seed, stage, round), so a repeated round takes the same sites.
    """
    order = sorted(sites, key=lambda site: (derive_seed(task.seed, "drawn", task.stage, task.round, site), site))
    chosen = {*order[: max(least, math.ceil(share * len(order) - 1e-9))], *required}
    return tuple(site for site in sites if site in chosen)


def _event_reporter(task: Task, asked: int, tell: Listener) -> Callable[[str, Fate, str], None]:
    done: list[str] = []

    def report(site: str, fate: Fate, reason: str) -> None:
        done.append(site)
        tell(Answered(task.stage, task.round, site, fate, reason, len(done), asked))

    return report


def _ignore_event(event: Event) -> None:
    """Ignore the event."""
