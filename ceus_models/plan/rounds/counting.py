"""The rounds of the stages that count: hello, statistics and evaluate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ceus_models.metrics.ood import REQUEST_TENSOR
from ceus_models.plan.progress import Progress
from ceus_models.plan.recipe import RecipeRule, compute_recipe
from ceus_models.plan.rounds.stage_rounds import build_task, set_frozen_digest
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Study
from ceus_models.protocol.messages import CountNoise, Task, Update
from ceus_models.protocol.privacy.secure_session import SUMS_KEY
from ceus_models.protocol.state import State, add_prefix
from ceus_models.study.taxonomy import COHORTS


@dataclass(frozen=True)
class HelloRounds:
    """The round that registers the sites."""

    stage: Hello

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Nothing to ready."""
        return progress

    def task(self, progress: Progress, study: Study) -> Task:
        """Counts of every cohort, and the channel key where the plan has secure sums.

        The task brings the plan, to which the site holds the study from then on.
        """
        task = replace(build_task("hello", self.stage.name, progress, study, cohorts=COHORTS), plan=study.plan)
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
class StatisticsRounds:
    """The round of the tally."""

    stage: Statistics

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Nothing to ready."""
        return progress

    def task(self, progress: Progress, study: Study) -> Task:
        """A tally of the cohorts that sub-models and fusion nets are trained on."""
        asked = {*self.stage.cohorts, *self.stage.fusion_cohorts}
        task = build_task("tally", self.stage.name, progress, study, cohorts=tuple(c for c in COHORTS if c in asked))
        return replace(task, inputs={REQUEST_TENSOR: torch.tensor(1)}, level=self.stage.level)

    def summand(self, task: Task, update: Update) -> State:
        """The tally itself."""
        return update.sums

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Store the tally and the recipe computed from it."""
        rule = RecipeRule(
            cohorts=self.stage.cohorts,
            fusion_cohorts=self.stage.fusion_cohorts,
            min_correlation=self.stage.min_correlation,
            max_class_weight=self.stage.max_class_weight,
            class_balance=self.stage.class_balance,
        )
        recipe = compute_recipe(total, rule, study.architecture, study.fusion_hidden, study.sharing)
        return replace(progress, recipe=recipe, totals={**progress.totals, self.stage.name: total})


@dataclass(frozen=True)
class EvaluateRounds:
    """The round that counts how right the nets are."""

    stage: Evaluate

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Set the digest by which sites recognise the sub-models."""
        return set_frozen_digest(progress, expand_names(self.stage.nets))

    def task(self, progress: Progress, study: Study) -> Task:
        """Evaluation of the nets as they are."""
        nets = expand_names(self.stage.nets)
        task = build_task("evaluate", self.stage.name, progress, study, cohorts=self.stage.cohorts, nets=nets)
        noise = CountNoise(self.stage.noise, self.stage.noise_sites) if self.stage.noise else None
        asked = replace(task, comparisons=True, replicates=self.stage.paired_replicates)
        return replace(asked, level=self.stage.level, count_noise=noise)

    def summand(self, task: Task, update: Update) -> State:
        """The counts; those that a site allows to be shown separately carry its name."""
        return {f"{update.site}|{n}" if n.endswith("|own") else n: tensor for n, tensor in update.sums.items()}

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Store the counts under the stage's name."""
        return replace(progress, totals={**progress.totals, self.stage.name: total})
