"""The stages hello, statistics and evaluate. A stage defines the task of a round and the use of the summed answers.

Every method is pure. `prepare` updates the progress before a round, `task` is the task for all sites, `summand` is
what one answer adds to the round's total, `absorb` puts the total into the progress. The coordinator is the same for
all kinds of stage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol

import torch
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator

from ceus_models.metrics.evaluation_release import evaluation_sensitivity
from ceus_models.metrics.ood import REQUEST_TENSOR
from ceus_models.nets.heads import list_nets
from ceus_models.plan.progress import Progress
from ceus_models.plan.recipe import RecipeRule, compute_recipe
from ceus_models.plan.terms.net_groups import cohort, expand_names, net
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Study
from ceus_models.plan.wire_nets import frozen_digest, on_wire
from ceus_models.protocol.messages import CountNoise, Kind, Level, Task, Update
from ceus_models.protocol.privacy.secure_session import SUMS_KEY
from ceus_models.protocol.state import State, add_prefix
from ceus_models.study.taxonomy import COHORTS, FUSION_NETS

Cohorts = Annotated[tuple[Annotated[str, AfterValidator(cohort)], ...], MinLen(1)]
Nets = Annotated[tuple[Annotated[str, AfterValidator(net)], ...], MinLen(1)]
Name = Annotated[str, MinLen(1)]


def build_task(
    kind: Kind,
    stage: str,
    progress: Progress,
    study: Study,
    cohorts: tuple[str, ...],
    nets: tuple[str, ...] = (),
) -> Task:
    """Build a task of `kind` for some nets or outputs, with the current parameters and the settings of the study."""
    return Task(
        kind=kind,
        study=study.digest,
        seed=study.seed,
        stage=stage,
        round=progress.step,
        nets=nets,
        cohorts=cohorts,
        inputs=on_wire({net: progress.nets[net] for net in list_nets(nets, study.sharing)}),
        recipe=progress.recipe,
        processing=study.processing,
        frozen=progress.frozen if any(net in FUSION_NETS for net in nets) else "",
    )


def set_frozen_digest(progress: Progress, nets: tuple[str, ...]) -> Progress:
    """Set the digest of the current sub-models if one of `nets` is a fusion net, which uses them."""
    return replace(progress, frozen=frozen_digest(progress)) if any(net in FUSION_NETS for net in nets) else progress


class Stage(Protocol):
    """A part of the study that takes one or more rounds."""

    @property
    def name(self) -> str:
        """Unique within the plan."""

    def steps(self) -> int:
        """Number of rounds."""

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Create what the round needs, for example initial nets."""

    def task(self, progress: Progress, study: Study) -> Task:
        """The task for every site in the round `progress.step`."""

    def summand(self, task: Task, update: Update) -> State:
        """What a screened answer adds to the round's total."""

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """The progress after the round. total: sums over counted sites, floats in float64."""


@dataclass(frozen=True)
class Hello:
    """Register the sites: same versions and settings, and their numbers of lesions."""

    stage: Literal["hello"]
    name: Name = "hello"

    def steps(self) -> int:
        """One round."""
        return 1

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Nothing to ready."""
        return progress

    def task(self, progress: Progress, study: Study) -> Task:
        """Counts of every cohort, and the channel key where the plan has secure sums.

        The task brings the plan, to which the site holds the study from then on.
        """
        task = replace(build_task("hello", self.name, progress, study, cohorts=COHORTS), plan=study.plan)
        return replace(task, inputs={SUMS_KEY: torch.tensor(1)}) if study.secure else task

    def summand(self, task: Task, update: Update) -> State:
        """The counts with the site's name: screening compares later answers with them."""
        return add_prefix(update.sums, f"{update.site}|")

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Admit the sites that were counted, in addition to those admitted earlier."""
        held = {what: {site: dict[str, int]() for site in record.counted} for what in ("lesions", "patients")}
        keys = dict(progress.keys)
        for name, count in total.items():
            site, what = name.split("|", 1)
            if what == SUMS_KEY:
                keys[site] = bytes(count.tolist()).hex()
            elif int(count):
                cohort, counted = what.split("|")
                held[counted][site][cohort] = int(count)
        return replace(
            progress,
            counts={**progress.counts, **held["lesions"]},
            patients={**progress.patients, **held["patients"]},
            keys=keys,
        )


@dataclass(frozen=True)
class Statistics:
    """One tally, which gives the recipe: class weights, normalisation, selected clinical variables."""

    stage: Literal["statistics"]
    name: Name = "statistics"
    cohorts: Cohorts = ("training_a",)
    fusion_cohorts: Cohorts = ("training_b",)
    min_correlation: Annotated[float, Ge(0), Lt(1)] = 0.2
    max_class_weight: Annotated[float, Gt(1)] = 10.0
    class_balance: Annotated[float, Ge(0), Le(1)] = 1.0
    level: Level = "none"

    def steps(self) -> int:
        """One round."""
        return 1

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Nothing to ready."""
        return progress

    def task(self, progress: Progress, study: Study) -> Task:
        """A tally of the cohorts that sub-models and fusion nets are trained on."""
        asked = {*self.cohorts, *self.fusion_cohorts}
        task = build_task("tally", self.name, progress, study, cohorts=tuple(c for c in COHORTS if c in asked))
        return replace(task, inputs={REQUEST_TENSOR: torch.tensor(1)}, level=self.level)

    def summand(self, task: Task, update: Update) -> State:
        """The tally itself."""
        return update.sums

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Store the tally and the recipe computed from it."""
        rule = RecipeRule(
            self.cohorts, self.fusion_cohorts, self.min_correlation, self.max_class_weight, self.class_balance
        )
        recipe = compute_recipe(total, rule, study.architecture, study.fusion_hidden, study.sharing)
        return replace(progress, recipe=recipe, totals={**progress.totals, self.name: total})


@dataclass(frozen=True)
class Evaluate:
    """Counts of finished nets on some cohorts; no training.

    Args:
        replicates: bootstrap replicates that the coordinator draws from the counts.
        paired_replicates: replicates with weights of the lesions, which sites are asked for to pair the arms of a
            simulation. They single out lesions, so a hospital's policy refuses them unless it says otherwise.
        noise: standard deviation of the noise in the sum over sites, in multiples of
            `ceus_models.metrics.evaluation_release.evaluation_sensitivity`; 0 for none.
        noise_sites: whose shares make up the noise.
    """

    stage: Literal["evaluate"]
    name: Name
    nets: Nets
    cohorts: Cohorts
    replicates: Annotated[int, Ge(0), Lt(10_000)] = 1000
    paired_replicates: Annotated[int, Ge(0), Lt(10_000)] = 0
    noise: Annotated[float, Ge(0)] = 0.0
    noise_sites: Annotated[int, Ge(1)] = 1
    level: Level = "none"

    def __post_init__(self) -> None:
        """Raise ValueError for a level that the noise does not fit."""
        if self.level == "local":
            raise ValueError("expected level none, sums or distributed for an evaluation, found local; choose another")
        if (self.noise > 0) != (self.level == "distributed"):
            raise ValueError(f"expected noise above 0 at level distributed and at no other, found {self.noise:g}")

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise in a cell of the total, in lesions."""
        return self.noise * evaluation_sensitivity(expand_names(self.nets))

    def steps(self) -> int:
        """One round."""
        return 1

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Set the digest by which sites recognise the sub-models."""
        return set_frozen_digest(progress, expand_names(self.nets))

    def task(self, progress: Progress, study: Study) -> Task:
        """Evaluation of the nets as they are."""
        nets = expand_names(self.nets)
        task = build_task("evaluate", self.name, progress, study, cohorts=self.cohorts, nets=nets)
        noise = CountNoise(self.noise, self.noise_sites) if self.noise else None
        return replace(task, comparisons=True, replicates=self.paired_replicates, level=self.level, count_noise=noise)

    def summand(self, task: Task, update: Update) -> State:
        """The counts; those that a site allows to be shown separately carry its name."""
        return {f"{update.site}|{n}" if n.endswith("|own") else n: tensor for n, tensor in update.sums.items()}

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Store the counts under the stage's name."""
        return replace(progress, totals={**progress.totals, self.name: total})
