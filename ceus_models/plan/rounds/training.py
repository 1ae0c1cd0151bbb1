"""Rounds of local training, and regular validation rounds that select the best parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.trained_parameters import list_trained
from ceus_models.plan.answers.change_grid import CHANGE, SIZES, STEPS, ChangeGrid, expand_changes
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.learning_curves import list_points, sum_training_losses, sum_validation_losses
from ceus_models.plan.rounds.shared_steps import QuantisedMean, compute_steps, encode_weights
from ceus_models.plan.rounds.stage_rounds import build_task, set_frozen_digest
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Study
from ceus_models.plan.train_stage import FIRST_BITS, Train
from ceus_models.protocol.messages import Recipe, Task, Update
from ceus_models.protocol.state import State, split_by_net
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import FUSION_NETS


@dataclass(frozen=True)
class TrainRounds:
    """Training of a stage's nets, from their current or initial parameters."""

    stage: Train

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Create initial nets, at the first step."""
        if progress.step:
            return progress
        recipe = self._require_recipe(progress, study)
        missing = [net for net in self.stage.list_trained_nets(recipe.sharing) if net not in progress.nets]
        new = {net: build_initial_state(net, recipe, study.seed) for net in missing}
        new = {n: state if n in FUSION_NETS else {**state, **study.pretrained} for n, state in new.items()}
        begun = replace(progress, recipe=recipe, nets={**progress.nets, **new})
        return set_frozen_digest(begun, expand_names(self.stage.nets))

    def task(self, progress: Progress, study: Study) -> Task:
        """Local training under the strategy's rule, or evaluation of the nets as they are."""
        kind, number = self.stage.sequence()[progress.step]
        if kind == "evaluate" and self.stage.validate:
            outputs = expand_names(self.stage.nets)
            asked = build_task(kind, self.stage.name, progress, study, self.stage.validate.cohorts, outputs)
            return replace(asked, round=number, level=self.stage.level, inputs=self._encode(asked.inputs, kind, number))
        nets = self.stage.list_trained_nets(study.sharing)
        task = build_task(kind, self.stage.name, progress, study, self.stage.cohorts, nets)
        task = replace(task, round=number, rule=self.stage.find_rule(number), level=self.stage.level)
        inputs = self._encode(task.inputs, kind, number)
        if self.stage.changes is None:
            return replace(task, inputs=inputs)
        grids = {net: self._read_grid(progress, net, number) for net in nets if progress.nets[net]}
        steps = {f"{net}|{STEPS}": grid.steps for net, grid in grids.items()}
        return replace(
            task, inputs={**steps, **inputs}, changes=replace(self.stage.changes, bits=self._count_bits(number))
        )

    def summand(self, task: Task, update: Update) -> State:
        """The sums themselves; of quantised changes the whole numbers times the site's lesions."""
        return expand_changes(update.sums, task) if task.changes else update.sums

    def _encode(self, state: State, kind: str, number: int) -> State:
        return encode_weights(state) if self.stage.sends_rounded(kind, number) else state

    def _count_bits(self, number: int) -> Literal[8, 12, 16]:
        return FIRST_BITS if number == 1 or self.stage.changes is None else self.stage.changes.bits

    def _read_grid(self, progress: Progress, net: str, number: int) -> ChangeGrid:
        """The grid of a net's changes in a round."""
        sent, bits = self._encode(progress.nets[net], "train", number), self._count_bits(number)
        steps = compute_steps(sent, progress.memory.get(f"sizes|{net}", {}).get("rms"), bits)
        return ChangeGrid(bits, {name: tensor.shape for name, tensor in sent.items()}, steps)

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Update every trained net, or after validation store the nets with the lowest loss so far."""
        kind, number = self.stage.sequence()[progress.step]
        if self.stage.rule.private:
            after = self._absorb_private(progress, study, total, record)
        else:
            taken = self._absorb_training if kind == "train" else self._absorb_validation
            after = taken(progress, study, total, number)
        return self._close_stage(after, study) if progress.step + 1 == self.stage.steps() else after

    def _require_recipe(self, progress: Progress, study: Study) -> Recipe:
        recipe = progress.recipe or study.recipe
        if recipe is None:
            raise ValueError(f"a statistics stage must come before the training stage {self.stage.name}; add one")
        return recipe

    def _absorb_training(self, progress: Progress, study: Study, total: State, number: int) -> Progress:
        nets, memory, curves = dict(progress.nets), dict(progress.memory), list(progress.curves)
        sums = split_by_net(total)
        for net in self.stage.list_trained_nets(study.sharing):
            weight = float(total.get(f"{net}|#weight", 0.0))
            if weight <= 0:
                continue
            mean: State = _Mean(sums[net], weight)
            if self.stage.changes:
                grid = self._read_grid(progress, net, number)
                mean = QuantisedMean(total[f"{net}|{CHANGE}"], weight, grid)
                memory[f"sizes|{net}"] = {"rms": total[f"{net}|{SIZES}"] / weight * grid.steps}
            nets[net], kept = self.stage.strategy.step(nets[net], mean, memory.get(f"moments|{net}", {}))
            if kept:
                memory[f"moments|{net}"] = kept
            curves.extend(list_points((self.stage.name, number), net, "training", sum_training_losses(total, net)))
        return replace(progress, nets=nets, memory=memory, curves=tuple(curves))

    def _absorb_private(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """Step along the noised mean gradient over all patients that the counted sites declared."""
        private, (_, number) = self.stage.rule.private, self.stage.sequence()[progress.step]
        if private and len(record.counted) < private.sites:
            raise ExpectedError(
                f"{self.stage.name}, round {number}: the noise is made of {private.sites} sites' shares, and only "
                f"{len(record.counted)} sites were counted; run the same command again when more are connected"
            )
        nets, memory, sums = dict(progress.nets), dict(progress.memory), split_by_net(total)
        per_patient = -progress.count_patients(record.counted, self.stage.cohorts) / self.stage.rule.learning_rate
        for net in self.stage.list_trained_nets(study.sharing):
            trained = {name: nets[net][name] for name in list_trained(nets[net], self.stage.rule.trains)}
            mean = _Mean(sums[net], per_patient)
            stepped, kept = self.stage.strategy.step(trained, mean, memory.get(f"moments|{net}", {}))
            nets[net] = {**nets[net], **stepped}
            if kept:
                memory[f"moments|{net}"] = kept
            if number > self.stage.rounds // 2:
                before = memory.get(f"average|{net}", {})
                share = self.stage.rounds - self.stage.rounds // 2
                memory[f"average|{net}"] = {n: before.get(n, 0.0) + t.double() / share for n, t in stepped.items()}
        return replace(progress, nets=nets, memory=memory)

    def _absorb_validation(self, progress: Progress, study: Study, total: State, number: int) -> Progress:
        memory, curves, recipe = dict(progress.memory), list(progress.curves), self._require_recipe(progress, study)
        for net in self.stage.list_trained_nets(study.sharing):
            losses = sum_validation_losses(total, net, recipe)
            points = list(list_points((self.stage.name, number), net, "validation", losses))
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
        for net in self.stage.list_trained_nets(study.sharing):
            nets[net] = progress.memory.get(f"best|{net}", nets[net])
            average = progress.memory.get(f"average|{net}", {})
            nets[net] = {**nets[net], **{name: t.to(nets[net][name].dtype) for name, t in average.items()}}
        return replace(progress, nets=nets, memory={})


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
