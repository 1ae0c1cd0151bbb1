"""The training stage: rounds of local training, and regular validation rounds that select the best parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le
from pydantic import Field
from torch import Tensor

from ceus_models.nets.heads import list_nets
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.trained_parameters import list_trained
from ceus_models.plan.answers.change_grid import CHANGE, SIZES, STEPS, ChangeGrid, expand_changes
from ceus_models.plan.learning_curves import list_points, sum_training_losses, sum_validation_losses
from ceus_models.plan.progress import Progress
from ceus_models.plan.shared_steps import FIRST_BITS, QuantisedMean, compute_steps, encode_weights
from ceus_models.plan.stages import Cohorts, Name, Nets, build_task, set_frozen_digest
from ceus_models.plan.strategies import FedAvg, FedProx, Strategy
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Study
from ceus_models.protocol.messages import Level, LocalRule, Quantisation, Recipe, Sharing, Task, Update
from ceus_models.protocol.state import State, split_by_net
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import FUSION_NETS


@dataclass(frozen=True)
class Validation:
    """After every `every` training rounds, and after the last, the nets are evaluated on these cohorts."""

    cohorts: Cohorts = ("validation",)
    every: Annotated[int, Ge(1)] = 3


@dataclass(frozen=True)
class Train:
    """Training of several nets for `rounds` rounds, from their current or initial parameters.

    Args:
        share: of the sites with such lesions, how many train in a round; they are sampled anew for every round.
        changes: whole numbers of few bits in which the nets' changes travel; as float32 without it.
        weights: dtype in which the nets travel to the sites, which train from these weights; the coordinator adds the
            changes to its own in float32, so that rounding does not accumulate.
        level: what protects the answers of all rounds. Under a private rule the nets are the mean of the later half of
            the rounds, which costs no privacy, where choosing a round by its loss would.
    """

    stage: Literal["train"]
    name: Name
    nets: Nets
    cohorts: Cohorts
    rounds: Annotated[int, Ge(1)]
    strategy: Annotated[Strategy, Field(discriminator="name")] = field(default_factory=FedAvg)
    rule: LocalRule = field(default_factory=LocalRule)
    validate: Validation | None = None
    share: Annotated[float, Gt(0), Le(1)] = 1.0
    level: Level = "none"
    changes: Quantisation | None = None
    weights: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Raise ValueError for what private training does not allow, or allows nothing else than."""
        faults = list(list_private_faults(self.rule, self.level, self.nets)) if self.rule.private else []
        if self.rule.private and (self.validate or self.share < 1 or isinstance(self.strategy, FedProx)):
            faults.append("no validate, share 1 and a strategy without a proximal term under a private rule")
        if self.rule.private and self.changes:
            faults.append("no changes under a private rule, whose noise is of whole numbers on a grid of its own")
        if self.level in ("distributed", "local") and not self.rule.private:
            faults.append(f"a private rule at level {self.level}")
        if faults:
            raise ValueError(f"expected {'; '.join(faults)}; correct this stage")

    def sequence(self) -> tuple[tuple[Literal["train", "evaluate"], int], ...]:
        """The stage's steps: the kind of task, and its training round (from 1)."""
        steps: list[tuple[Literal["train", "evaluate"], int]] = []
        for number in range(1, self.rounds + 1):
            steps.append(("train", number))
            if self.validate and (number % self.validate.every == 0 or number == self.rounds):
                steps.append(("evaluate", number))
        return tuple(steps)

    def steps(self) -> int:
        """Training and validation rounds together."""
        return len(self.sequence())

    def list_trained_nets(self, sharing: Sharing) -> tuple[str, ...]:
        """The nets that change."""
        return list_nets(expand_names(self.nets), sharing)

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Create initial nets, at the first step."""
        if progress.step:
            return progress
        recipe = self._require_recipe(progress, study)
        missing = [net for net in self.list_trained_nets(recipe.sharing) if net not in progress.nets]
        new = {net: build_initial_state(net, recipe, study.seed) for net in missing}
        new = {n: state if n in FUSION_NETS else {**state, **study.pretrained} for n, state in new.items()}
        begun = replace(progress, recipe=recipe, nets={**progress.nets, **new})
        return set_frozen_digest(begun, expand_names(self.nets))

    def task(self, progress: Progress, study: Study) -> Task:
        """Local training under the strategy's rule, or evaluation of the nets as they are."""
        kind, number = self.sequence()[progress.step]
        if kind == "evaluate" and self.validate:
            outputs = expand_names(self.nets)
            asked = build_task(kind, self.name, progress, study, self.validate.cohorts, outputs)
            return replace(asked, round=number, level=self.level, inputs=self._encode(asked.inputs, kind, number))
        nets = self.list_trained_nets(study.sharing)
        task = build_task(kind, self.name, progress, study, self.cohorts, nets)
        task = replace(task, round=number, rule=self.strategy.local(self.rule), level=self.level)
        inputs = self._encode(task.inputs, kind, number)
        if self.changes is None:
            return replace(task, inputs=inputs)
        grids = {net: self._read_grid(progress, net, number) for net in nets if progress.nets[net]}
        steps = {f"{net}|{STEPS}": grid.steps for net, grid in grids.items()}
        return replace(task, inputs={**steps, **inputs}, changes=replace(self.changes, bits=self._count_bits(number)))

    def summand(self, task: Task, update: Update) -> State:
        """The sums themselves; of quantised changes the whole numbers times the site's lesions."""
        return expand_changes(update.sums, task) if task.changes else update.sums

    def sends_rounded(self, kind: str, number: int) -> bool:
        """Whether weights travel in bfloat16; not those of the first round, which a site compares with its plan's."""
        return self.weights == "bfloat16" and (kind, number) != ("train", 1)

    def _encode(self, state: State, kind: str, number: int) -> State:
        return encode_weights(state) if self.sends_rounded(kind, number) else state

    def _count_bits(self, number: int) -> Literal[8, 12, 16]:
        return FIRST_BITS if number == 1 or self.changes is None else self.changes.bits

    def _read_grid(self, progress: Progress, net: str, number: int) -> ChangeGrid:
        """The grid of a net's changes in a round."""
        sent, bits = self._encode(progress.nets[net], "train", number), self._count_bits(number)
        steps = compute_steps(sent, progress.memory.get(f"sizes|{net}", {}).get("rms"), bits)
        return ChangeGrid(bits, {name: tensor.shape for name, tensor in sent.items()}, steps)

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Update every trained net, or after validation store the nets with the lowest loss so far."""
        kind, number = self.sequence()[progress.step]
        if self.rule.private:
            after = self._absorb_private(progress, study, total, record)
        else:
            taken = self._absorb_training if kind == "train" else self._absorb_validation
            after = taken(progress, study, total, number)
        return self._close_stage(after, study) if progress.step + 1 == self.steps() else after

    def _require_recipe(self, progress: Progress, study: Study) -> Recipe:
        recipe = progress.recipe or study.recipe
        if recipe is None:
            raise ValueError(f"a statistics stage must come before the training stage {self.name}; add one")
        return recipe

    def _absorb_training(self, progress: Progress, study: Study, total: State, number: int) -> Progress:
        nets, memory, curves = dict(progress.nets), dict(progress.memory), list(progress.curves)
        sums = split_by_net(total)
        for net in self.list_trained_nets(study.sharing):
            weight = float(total.get(f"{net}|#weight", 0.0))
            if weight <= 0:
                continue
            mean: State = _Mean(sums[net], weight)
            if self.changes:
                grid = self._read_grid(progress, net, number)
                mean = QuantisedMean(total[f"{net}|{CHANGE}"], weight, grid)
                memory[f"sizes|{net}"] = {"rms": total[f"{net}|{SIZES}"] / weight * grid.steps}
            nets[net], kept = self.strategy.step(nets[net], mean, memory.get(f"moments|{net}", {}))
            if kept:
                memory[f"moments|{net}"] = kept
            curves.extend(list_points((self.name, number), net, "training", sum_training_losses(total, net)))
        return replace(progress, nets=nets, memory=memory, curves=tuple(curves))

    def _absorb_private(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Step along the noised mean gradient over all patients that the counted sites declared."""
        private, (_, number) = self.rule.private, self.sequence()[progress.step]
        if private and len(record.counted) < private.sites:
            raise ExpectedError(
                f"{self.name}, round {number}: the noise is made of {private.sites} sites' shares, and only "
                f"{len(record.counted)} sites were counted; run the same command again when more are connected"
            )
        nets, memory, sums = dict(progress.nets), dict(progress.memory), split_by_net(total)
        per_patient = -progress.count_patients(record.counted, self.cohorts) / self.rule.learning_rate
        for net in self.list_trained_nets(study.sharing):
            trained = {name: nets[net][name] for name in list_trained(nets[net], self.rule.trains)}
            stepped, kept = self.strategy.step(trained, _Mean(sums[net], per_patient), memory.get(f"moments|{net}", {}))
            nets[net] = {**nets[net], **stepped}
            if kept:
                memory[f"moments|{net}"] = kept
            if number > self.rounds // 2:
                before = memory.get(f"average|{net}", {})
                share = self.rounds - self.rounds // 2
                memory[f"average|{net}"] = {n: before.get(n, 0.0) + t.double() / share for n, t in stepped.items()}
        return replace(progress, nets=nets, memory=memory)

    def _absorb_validation(self, progress: Progress, study: Study, total: State, number: int) -> Progress:
        memory, curves, recipe = dict(progress.memory), list(progress.curves), self._require_recipe(progress, study)
        for net in self.list_trained_nets(study.sharing):
            losses = sum_validation_losses(total, net, recipe)
            points = list(list_points((self.name, number), net, "validation", losses))
            if not points:
                continue
            curves.extend(points)
            loss = points[-1].loss
            best = memory.get(f"best_loss|{net}", {"loss": torch.tensor(torch.inf)})
            if loss <= float(best["loss"]):  # of equal rounds the later: it has seen more
                memory[f"best|{net}"] = progress.nets[net]
                memory[f"best_loss|{net}"] = _note_best(loss, number)
        return replace(progress, memory=memory, curves=tuple(curves))

    def _close_stage(self, progress: Progress, study: Study) -> Progress:
        """Take the best nets, or the averaged ones, and clear the memory of the stage."""
        nets = dict(progress.nets)
        for net in self.list_trained_nets(study.sharing):
            nets[net] = progress.memory.get(f"best|{net}", nets[net])
            average = progress.memory.get(f"average|{net}", {})
            nets[net] = {**nets[net], **{name: t.to(nets[net][name].dtype) for name, t in average.items()}}
        return replace(progress, nets=nets, memory={})


def list_private_faults(rule: LocalRule, level: Level, nets: Nets) -> Iterator[str]:
    """What a private rule needs that its level and nets do not give."""
    if rule.private is None:
        return
    if level not in ("distributed", "local"):
        yield f"level distributed or local under a private rule, found {level}"
    if level == "local" and rule.private.sites != 1:
        yield f"private.sites 1 at level local, found {rule.private.sites}"
    if set(expand_names(nets)) & set(FUSION_NETS) and (rule.trains != "all" or rule.private.views != 1):
        yield "trains all and private.views 1 for fusion nets, which see no images"


def count_local_steps(weight: float, rule: LocalRule) -> int:
    """Optimiser steps of a site with this many lesions; its change may grow with them."""
    return rule.epochs * max(1, math.ceil(weight / rule.batch_size))


class _Mean(Mapping[str, Tensor]):
    """A net's mean change in float64, computed tensor by tensor on access, to save memory."""

    def __init__(self, total: State, weight: float) -> None:
        self._total, self._weight = total, weight

    def __getitem__(self, name: str) -> Tensor:
        return self._total[name].double() / self._weight

    def __iter__(self) -> Iterator[str]:
        return iter(self._total)

    def __len__(self) -> int:
        return len(self._total)


def _note_best(loss: float, number: int) -> dict[str, Tensor]:
    return {"loss": torch.tensor(loss, dtype=torch.float64), "round": torch.tensor(number)}
