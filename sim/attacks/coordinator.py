"""A coordinator that asks what it likes, and sees of the answers what a level of privacy shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan, Stage
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Kind, Level, Recipe, Refusal, RefusalCode, Task, Update
from ceus_models.protocol.privacy.secure_session import SUMS_KEY
from ceus_models.protocol.state import State, digest, split_by_net
from ceus_models.study.sample import Sample
from client.worker.site.site import Site
from sim.attacks.secure_asking import SitesLink, ask_sum

SUMMED: tuple[Level, ...] = ("sums", "distributed")
"""Levels at which the coordinator sees the total over sites and no site's own answer."""


_STAGES: Mapping[Kind, type] = {"hello": Hello, "tally": Statistics, "train": Train, "evaluate": Evaluate}


class Refused(Exception):
    """A site did not answer."""

    def __init__(self, code: RefusalCode, reason: str) -> None:
        """Keep both parts of the refusal."""
        super().__init__(reason)
        self.code: RefusalCode = code


@dataclass(frozen=True, eq=False)
class CuriousCoordinator:
    """The attacker's view of some sites.

    Args:
        sites: the attacked one first.
        plan: that the hospitals approved.
        seed: of the study.
        recipe: of an honest statistics stage.
        level: of every answer.
        log: what became of every question, in order.
        keys: the sites' channel keys of secure sums, from their greeting.
    """

    sites: Sequence[Site]
    plan: Plan
    seed: int
    recipe: Recipe
    level: Level = "none"
    log: list[str] = field(default_factory=list)
    keys: dict[str, bytes] = field(default_factory=dict)

    def find_level(self, kind: Kind) -> Level:
        """The plan's level of a kind of task; the attacker's own where the plan asks for none."""
        stage = self._find_stage(kind, ())
        return getattr(stage, "level", self.level)

    def list_seen(self, kind: Kind) -> Sequence[Site]:
        """The sites whose lesions are behind an answer."""
        return self.sites if self.find_level(kind) in SUMMED else self.sites[:1]

    def greet(self) -> None:
        """Begin the study as the plan says, so that the sites hold the plan. Raises Refused."""
        stage = self.plan.stages[0]
        for site in self.sites:
            answer = self._take(self.ask_site(site, find_rounds(stage).task(Progress(), self.plan.study(self.seed))))
            if SUMS_KEY in answer:
                self.keys[site.name] = bytes(answer[SUMS_KEY].tolist())

    def ask(self, task: Task) -> dict[str, Tensor]:
        """What the coordinator sees of the answers to a task. Raises Refused where it gets none."""
        if self.find_level(task.kind) in SUMMED:
            return self.ask_sites(self.sites, task)
        return self._take(self.ask_site(self.sites[0], self.set_level(task)))

    def ask_sites(self, sites: Sequence[Site], task: Task) -> dict[str, Tensor]:
        """The total over these sites by a secure sum. Raises Refused where they do not open it."""
        link = SitesLink(sites, self.log)
        total = ask_sum(link, self.set_level(task), self.keys)
        if total is None:
            raise _explain(link)
        return total

    def ask_site(self, site: Site, task: Task) -> Update | Refusal:
        """The answer of one site as it leaves it."""
        answer = site.handle(task)
        self.log.append(answer.code if isinstance(answer, Refusal) else "answered")
        return answer

    def set_level(self, task: Task) -> Task:
        """The task at the level of its kind."""
        return replace(task, level=self.find_level(task.kind))

    def _take(self, answer: Update | Refusal) -> dict[str, Tensor]:
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.reason)
        return dict(answer.sums)

    def build_task(self, kind: Kind, nets: tuple[str, ...] = (), **changes: Any) -> Task:
        """A task in the name of the plan's stage for such work; of training the second round: its weights are free."""
        study = self.plan.study(self.seed)
        stage = self._find_stage(kind, nets)
        task = Task(kind, study.digest, self.seed, stage.name if stage else kind, 2 if kind == "train" else 0, nets)
        return replace(task, **{"recipe": self.recipe, "processing": study.processing, **changes})

    def build_planned_task(self, kind: Kind, crafted: State, frozen: State, number: int = 2) -> Task:
        """A task that the plan asks for, but for its weights: crafted ones where there are, else initial ones.

        number: of a training round; what a later one begins with is free. Raises Refused where the plan has no such
        stage or round.
        """
        given = split_by_net(crafted)
        stage = self._find_stage(kind, tuple(given))
        if not isinstance(stage, Train | Evaluate):
            raise Refused("plan", f"the plan has no stage that asks for {kind} of {', '.join(given)}")
        nets = {n: given.get(n) or build_initial_state(n, self.recipe, self.seed) for n in expand_names(stage.nets)}
        step = stage.sequence().index(("train", number)) if isinstance(stage, Train) else 0
        at = Progress(step=step, recipe=self.recipe, frozen=digest(frozen) if frozen else "", nets=nets)
        task = find_rounds(stage).task(at, self.plan.study(self.seed))
        return replace(task, inputs={**task.inputs, **frozen})

    def build_planned_tally(self) -> Task:
        """The task of the plan's statistics. Raises Refused where it has none."""
        stage = self._find_stage("tally", ())
        if stage is None:
            raise Refused("plan", "the plan has no statistics stage")
        return find_rounds(stage).task(Progress(), self.plan.study(self.seed))

    def _find_stage(self, kind: Kind, nets: tuple[str, ...]) -> Stage | None:
        """The plan's first stage of this kind for these nets."""
        sort = _STAGES[kind]
        fitting = [s for s in self.plan.stages if isinstance(s, sort) and set(nets) <= _list_nets(s)]
        return fitting[0] if fitting else None

    def list_samples(self, cohort: str, kind: Kind = "train") -> list[Sample]:
        """The truth: all lesions of a cohort behind an answer to such a task, that have a type."""
        return [s for site in self.list_seen(kind) for s in site.samples if s.cohort == cohort and s.label is not None]


def _explain(link: SitesLink) -> Refused:
    """The refusal that ended a secure sum."""
    if not link.refusals:
        return Refused("session", "the sum was not opened")
    return Refused(link.refusals[-1].code, link.refusals[-1].reason)


def _list_nets(stage: Stage) -> set[str]:
    return set(expand_names(stage.nets)) if isinstance(stage, Train | Evaluate) else set()
