"""Training of one net at one site for one round; what comes out is a sum."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ceus_models.nets.heads import list_outputs
from ceus_models.nets.losses import NO_RESULT, build_head_weights, compute_head_losses
from ceus_models.nets.module_cache import LoadedNet
from ceus_models.nets.two_stream import AUGMENT_DRAWS, Output, augment_images, prepare_inputs
from ceus_models.protocol.messages import LocalRule, Precision, Task
from ceus_models.protocol.state import SMALL_TENSOR, State, concatenate, split_like
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import FUSION_NETS
from client.policy.policy import TaskDeclined
from client.worker.tasks.devices.micro_batches import MicroBatches
from client.worker.tasks.inference import TaskNets, nets_of
from client.worker.tasks.local_checkpoint import LocalCheckpoint
from client.worker.tasks.place import Place

Predict = Callable[[Tensor], Output | Tensor]
Learn = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class TrainingResult:
    """sums: `<parameter>` = lesions · (local - global), `#weight`, `#loss`, `#labelled` (see the schema of an answer) ·
    lesions: that had a label.
    """

    sums: dict[str, Tensor]
    lesions: tuple[str, ...]


def select_labelled(net: str, samples: Sequence[Sample], cell: int = 1) -> tuple[list[Sample], list[int]]:
    """The lesions that have a right answer for a net, in the order of their keys, and those answers.

    Classes of fewer than `cell` lesions are left out: a change would be that of nearly one lesion.
    """
    pairs = [(s, t) for s in sorted(samples, key=lambda s: s.key) if (t := find_target(net, s)) is not None]
    held = Counter(t for _, t in pairs)
    kept = [(s, t) for s, t in pairs if held[t] >= cell]
    return [s for s, _ in kept], [t for _, t in kept]


def collect_targets(
    net: str, samples: Sequence[Sample], cell: int = 1, minimum: int = 1
) -> tuple[list[Sample], list[tuple[int, ...]]]:
    """The lesions with a right answer for a head of a net, in the order of their keys, and the answers for all heads.

    An answer is NO_RESULT where there is none; a head with fewer lesions than `minimum` has none at all.
    """
    found: dict[str, dict[int, int]] = {}
    heads = list_outputs(net)
    for column, output in enumerate(heads):
        cases, answers = select_labelled(output, samples, cell)
        for sample, answer in zip(cases, answers, strict=True) if len(cases) >= minimum else ():
            found.setdefault(sample.key, {})[column] = answer
    kept = sorted((s for s in samples if s.key in found), key=lambda s: s.key)
    return kept, [tuple(found[s.key].get(column, NO_RESULT) for column in range(len(heads))) for s in kept]


@dataclass(frozen=True, eq=False)
class Trainer:
    """Trains the nets of one task at one place.

    seed_of: the draw's name → its seed, in this round at this site.
    """

    nets: TaskNets
    rule: LocalRule
    seed_of: Callable[..., int]

    def train(self, net: str, samples: Sequence[Sample]) -> TrainingResult | None:
        """Train a net from the task's weights under its rule; None where too few lesions have a label.

        Batches, and so the result, depend on (seed, stage, round, site, net) only. The loss reported is the sum over
        lesions, averaged over epochs, as seen while training.
        """
        place, recipe = self.nets.place, self.nets.recipe
        cases, answers = collect_targets(net, samples, place.cell, max(1, place.minimum))
        if not cases:
            return None
        keys = tuple(s.key for s in cases)
        answered = list(zip(keys, answers, strict=True))
        underway = place.checkpoints.open(net, place.site, answered) if place.checkpoints else None
        if underway and (done := underway.load_finished()) is not None:
            return TrainingResult(done, keys)
        start = self.nets.start(net)
        draws = torch.Generator().manual_seed(self.seed_of(net, "augment"))
        predict, kept = self._ready(net, start, cases, draws)
        targets = torch.tensor(answers, device=place.device)  # (lesions heads)
        weights = build_head_weights(net, recipe, place.device)

        def losses(batch: Tensor) -> Tensor:
            with autocast(place.device, self.rule.precision):
                output = predict(batch)
            return compute_head_losses(
                output, targets[batch.to(place.device)], weights, recipe.architecture.loss_weights
            )

        generator = torch.Generator().manual_seed(self.seed_of(net))
        if underway:
            underway.generators = (generator, draws)
        kept.module.train()
        learn = MicroBatches(kept.module, losses, (draws,), net.partition("/")[0], place.compute.limits)
        total = run_epochs(kept.module, learn, len(cases), self.rule, generator, underway)
        if kept.local:
            self.nets.states.keep(net, {name: kept.tensors[name] for name in kept.local})
        sums = _difference(kept, start, len(cases), place.compute.answers)
        sums["#weight"] = torch.tensor(float(len(cases)), dtype=torch.float64)
        sums["#loss"] = total.cpu()
        if len(total) > 1:
            sums["#labelled"] = (targets != NO_RESULT).sum(dim=0).cpu()
        else:
            sums["#loss"] = sums["#loss"][0]
        if underway:
            underway.finish(sums)
        return TrainingResult(sums, keys)

    def _ready(
        self, net: str, start: State, cases: Sequence[Sample], draws: torch.Generator
    ) -> tuple[Predict, LoadedNet]:
        """The net filled for training, and how it is asked about a batch of lesion indices."""
        device = self.nets.place.device
        if net in FUSION_NETS:
            # before the net is filled: asking the sub-models uses the same kept modules
            features = self.nets.features(net, cases)
            fused, _ = self.nets.load(net, start)
            return lambda batch: fused.module(features[batch.to(device)]), fused
        kept, _ = self.nets.load(net, start)
        self.nets.place.compute.prepare(kept.module)
        stack = self.nets.place.compute.stack

        def predict(batch: Tensor) -> Output:
            chosen = [cases[i] for i in batch.tolist()]
            seen = prepare_inputs(chosen, self.nets.recipe.normaliser, device, stack)
            if self.rule.augment:
                seen = augment_images(*seen, torch.rand(len(chosen), AUGMENT_DRAWS, generator=draws).to(device))
            output: Output = kept.module(*seen)
            return output

        return predict, kept


def trainer_of(task: Task, place: Place) -> Trainer:
    """What trains the nets of a task. Raises TaskDeclined where it brings no rule or no recipe."""
    if task.rule is None:
        raise TaskDeclined("error", "a train task needs a rule, and this one brings none")
    return Trainer(nets_of(task, place), task.rule, partial(derive_seed, task.seed, task.stage, task.round, place.site))


def run_epochs(
    module: nn.Module,
    learn: Learn,
    lesions: int,
    rule: LocalRule,
    generator: torch.Generator,
    underway: LocalCheckpoint | None = None,
) -> Tensor:
    """Train `module` in place; the sum of the lesions' losses in each head, averaged over epochs (float64).

    learn: lesion indices (b) → loss of each (b heads), whose gradient it adds, as `MicroBatches` does · underway: what
    an earlier process did of it, and where this one keeps what it does. Each step minimises their sum over heads,
    averaged over lesions, plus μ/2 |w - w_start|² (FedProx, Li et al. 2020, eq. 2). Batches of one epoch have sizes
    that differ by one at most, so that no lesion of a last, short batch counts more than others.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    anchors = [p.detach().clone() for p in parameters] if rule.proximal_mu else []
    optimizer = _optimizer(parameters, rule)
    done, total = underway.resume(module, optimizer) if underway else (0, None)
    for epoch in range(done, rule.epochs):
        order = torch.randperm(lesions, generator=generator)
        for batch in torch.tensor_split(order, -(-lesions // rule.batch_size)):
            optimizer.zero_grad(set_to_none=True)
            each = learn(batch)
            _amend(parameters, anchors, rule)
            optimizer.step()
            seen = each.double().sum(dim=0)
            total = seen if total is None else total + seen
        if underway and total is not None and epoch + 1 < rule.epochs:
            underway.save_epoch(epoch + 1, total, module, optimizer)
    optimizer.zero_grad(set_to_none=True)
    if total is None:
        raise ValueError("nothing to train on: no lesions")
    return total / rule.epochs


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """bfloat16 where it is asked for and the device computes in it natively; otherwise float32.

    Emulated bfloat16 is slower than float32 and no smaller where it matters, so it is never used.
    """
    if precision != "bfloat16" or not _native_bfloat16(device):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _difference(kept: LoadedNet, start: State, lesions: int, place: torch.device) -> dict[str, Tensor]:
    """lesions · (local - global), contiguous and at `place`, small tensors by one operation for all."""
    small = {name: tensor for name, tensor in start.items() if tensor.numel() <= SMALL_TENSOR}
    with torch.no_grad():
        local = concatenate(kept.tensors[name] for name in small).to(place)
        changes = split_like(local.sub_(concatenate(small.values()).to(place)).mul_(lesions), small)
        for name in start.keys() - changes.keys():
            changes[name] = (kept.tensors[name].to(place) - start[name].to(place)).mul_(lesions).contiguous()
    return {name: changes[name] for name in start}


def _amend(parameters: Sequence[Tensor], anchors: Sequence[Tensor], rule: LocalRule) -> None:
    """Add FedProx's pull μ(w - w_start) to the gradients, then bound their norm."""
    if rule.proximal_mu:
        for parameter, anchor in zip(parameters, anchors, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - anchor, alpha=rule.proximal_mu)
    if rule.clip is not None:
        nn.utils.clip_grad_norm_(parameters, rule.clip)


def _optimizer(parameters: Sequence[Tensor], rule: LocalRule) -> torch.optim.Optimizer:
    # fused: one call for all tensors; on small nets the step is otherwise a third of the time
    if rule.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rule.learning_rate, weight_decay=rule.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters,
        lr=rule.learning_rate,
        momentum=rule.momentum,
        weight_decay=rule.weight_decay,
        fused=True,
    )


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    native: bool = torch.cpu._is_avx512_bf16_supported()
    return native
