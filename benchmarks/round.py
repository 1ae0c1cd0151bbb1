"""A simulated training round over the same batches in a bare PyTorch loop.

    python -m benchmarks.round [--sites 8] [--lesions 10] [--repetitions 5] [--out FILE]

The round is the study's own: the nine sub-models at the demo's sizes, coordinator, screening, exact sums and the
strategy's step included, with the sites in this process and in one worker process. The bare loop trains the same nine
nets on the same batches in the same order, one optimiser a net, and federates nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from benchmarks.measuring import arguments, busy_ratio, in_turn, publish, quiet, ratio
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.two_stream import TwoStream
from ceus_models.plan.plan import Plan, Stage, load_plan
from ceus_models.plan.train_stage import Train
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import SUBMODELS
from client.worker.site.site import Site
from client.worker.tasks.training import select_labelled
from sim.engine.inline_link import InlineLink
from sim.engine.memory_link import MemoryLink
from tests.support.clients import lesion
from tests.support.federation import SEED, recipe_for, rounds
from tests.support.open_policy import open_policy

DEMO = Path(__file__).parent.parent / "configs" / "plan.demo.yaml"


def main() -> None:
    """Time the three in turn, report."""
    given = arguments(__doc__, sites=8, lesions=10, repetitions=5)
    quiet()
    plan = load_plan(DEMO)
    plan = replace(plan, stages=(_training(plan),), sharing="separate")
    names = [f"site-{number:02d}" for number in range(1, given.sites + 1)]
    with tempfile.TemporaryDirectory() as folder:
        opener = Opener(given.lesions, plan.processing, Path(folder))
        loop = BareLoop(plan, [opener(name) for name in names])
        with MemoryLink(dict.fromkeys(names, float(given.lesions)), opener, 1) as link:
            lesions = dict.fromkeys(names, given.lesions)
            calls: dict[str, Callable[[], object]] = {
                "bare": loop.run,
                "here": partial(rounds, plan, InlineLink(names, opener), lesions, loop.nets),
                "worker": partial(rounds, plan, link, lesions, loop.nets),
            }
            in_turn(calls, 1)
            times = in_turn(calls, given.repetitions)
    rows = [
        (title, times[name], *(round(of(times[name], times["bare"]), 3) for of in (ratio, busy_ratio)))
        for name, title in (("bare", "bare loop"), ("here", "round, this process"), ("worker", "round, one worker"))
    ]
    title = f"a round of {given.sites} sites with {given.lesions} lesions, {len(SUBMODELS)} nets, {loop.steps} steps"
    publish(f"{title}; aim: ratio at most 1.10", ("what", "seconds", "ratio", "of processor time"), rows, given.out)


def _training(plan: Plan) -> Stage:
    """The plan's first training stage, cut to one round of all sites without validation, and pictures as they are."""
    stage = next(stage for stage in plan.stages if isinstance(stage, Train))
    return replace(stage, rounds=1, validate=None, share=1.0, rule=replace(stage.rule, augment=False))


@dataclass(frozen=True)
class Opener:
    """Sites of made-up lesions at the plan's sizes. Picklable."""

    lesions: int
    processing: Processing
    folder: Path

    def __call__(self, site: str) -> Site:
        """The site; all of it follows from its name."""
        samples = [lesion(site, number, self.processing) for number in range(self.lesions)]
        return Site(site, samples, self.processing.digest(), open_policy(), self.folder / site)


class BareLoop:
    """What one would write to train nine nets on one machine: data once in memory, one model, one optimiser a net."""

    def __init__(self, plan: Plan, sites: Sequence[Site]) -> None:
        """Stack the lesions, build the nets, and draw the batches that the federated round draws."""
        self._recipe = recipe_for(plan)
        stage = plan.stages[0]
        if not isinstance(stage, Train):
            raise TypeError("the plan trains first")
        self._rule = stage.rule
        samples = [sample for site in sites for sample in site.samples]
        at = {sample.key: index for index, sample in enumerate(samples)}
        self._frames = torch.from_numpy(np.stack([s.frames for s in samples])).unsqueeze(2)
        self._flow = torch.from_numpy(np.stack([s.flow for s in samples]))
        self._work = []
        self.nets = {net: build_initial_state(net, self._recipe, SEED) for net in SUBMODELS}
        for net in SUBMODELS:
            model = TwoStream(plan.architecture, 1).to(memory_format=torch.channels_last)
            model.load_state_dict(self.nets[net])
            self._work.append((model, [b for site in sites for b in self._batches(stage.name, site, net, at)]))
        self.steps = sum(len(batches) for _, batches in self._work)

    def _batches(self, stage: str, site: Site, net: str, at: dict[str, int]) -> list[tuple[Tensor, Tensor]]:
        cases, answers = select_labelled(net, site.samples)
        places, targets = torch.tensor([at[s.key] for s in cases]), torch.tensor(answers, dtype=torch.float32)
        generator = torch.Generator().manual_seed(derive_seed(SEED, stage, 1, site.name, net))
        orders = [torch.randperm(len(cases), generator=generator) for _ in range(self._rule.epochs)]
        count = -(-len(cases) // self._rule.batch_size)
        return [(places[part], targets[part]) for order in orders for part in torch.tensor_split(order, count)]

    def run(self) -> float:
        """One pass of every net over its batches; the loss, so that nobody can leave the work out."""
        norm, total = self._recipe.normaliser, 0.0
        for model, batches in self._work:
            optimizer = torch.optim.SGD(model.parameters(), self._rule.learning_rate, self._rule.momentum, fused=True)
            model.train()
            for places, targets in batches:
                frames = (self._frames[places].float() / 255 - norm.level_mean) / norm.level_sd
                output = model(frames, self._flow[places].float() * (0.04 / norm.flow_sd))
                heads = (output.spatial, output.temporal, output.final)
                loss = sum(nnf.binary_cross_entropy_with_logits(head[:, 0], targets) for head in heads)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if self._rule.clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), self._rule.clip)
                optimizer.step()
                total += float(loss.detach())
        return total


if __name__ == "__main__":
    main()
