"""Training on one graphics card over the best bare loop, and the paper's whole plan reckoned from it.

    python -m benchmarks.gpu [--device cuda:0] [--lesions 64] [--gigabytes 24] [--repetitions 3] [--out FILE.md]

An epoch of one sub-model of the paper's size over `--lesions` lesions, a round of the coordinator over a device link
with two sites that hold them, and the same batches in a bare loop: images on the card, the same precision, one
optimiser, nothing federated. The card's allocator is held to `--gigabytes`. `--device cpu:0` does all of it with the
smoke plan's nets on the processor, to see that it runs; its figures say nothing of a card.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from benchmarks.measuring import Times, in_turn, machine, quiet, ratio
from benchmarks.round import Opener
from ceus_models.nets.image_stacks import stack_images
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.predict import predict_scores
from ceus_models.nets.two_stream import TwoStream
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.strategies import FedAvg
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import add_prefix
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import SUBMODELS
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from client.worker.tasks.training import autocast, trainer_of
from sim.engine.device_link import DeviceLink
from sim.engine.device_memory import list_needs
from sim.engine.open_devices import open_devices
from sim.patients.centers import build_split
from sim.patients.patients import draw_cases
from tests.support.federation import SEED, recipe_for, rounds

CONFIGS = Path(__file__).parent.parent / "configs"
NET = "disease/HCC"
SITES = ("site-01", "site-02")
CARDS = 2


def main() -> None:
    """Time the parts in turn, and write the table."""
    given = _arguments()
    quiet()
    on_card = given.device.startswith("cuda")
    plan = load_plan(CONFIGS / ("plan.paper.yaml" if on_card else "plan.smoke.yaml"))
    (compute,) = open_devices((given.device,), print, given.compile)
    if on_card:
        whole = torch.cuda.get_device_properties(compute.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, given.gigabytes * 1e9 / whole), compute.device)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(plan, compute, Opener(given.lesions // len(SITES), plan.processing, Path(folder)))
        times, memory = bench.measure(given.repetitions), bench.peak_gb()
    rows = list(describe(bench, times, memory))
    name = torch.cuda.get_device_name(compute.device) if on_card else f"{machine()['processor']} (no card: a trial)"
    text = write_table(f"{name}, torch {torch.__version__}, {given.lesions} lesions", rows)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--lesions", type=int, default=64)
    parser.add_argument("--gigabytes", type=float, default=24.0)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path, help="write the table to this Markdown file")
    return parser.parse_args()


@dataclass(eq=False)
class Bench:
    """What is timed: all on one device, with the same lesions."""

    plan: Plan
    compute: ComputeDevice
    opener: Opener

    def __post_init__(self) -> None:
        """Cut the plan to one round of one net."""
        stage = next(stage for stage in self.plan.stages if isinstance(stage, Train))
        rule = replace(stage.rule, augment=False, epochs=1)
        self.stage = replace(stage, nets=(NET,), rounds=1, validate=None, share=1.0, strategy=FedAvg(), rule=rule)
        self.recipe = recipe_for(self.plan)
        self.samples = [sample for name in SITES for sample in self.opener(name).samples]
        self.state = build_initial_state(NET, self.recipe, SEED)

    def measure(self, repetitions: int) -> dict[str, Times]:
        """Seconds of each part; the first turn is not counted."""
        costs = dict.fromkeys(SITES, self.opener.lesions)
        one = replace(self.plan, stages=(self.stage,))
        bare = BareLoop(self)
        place = Place("all", SiteMemory(self.opener.folder / "all"), self.compute)
        inputs = add_prefix(self.state, f"{NET}|")
        task = Task("train", "", SEED, "bench", 1, (NET,), (), inputs, self.stage.rule, self.recipe)
        with DeviceLink({n: float(c) for n, c in costs.items()}, self.opener, [self.compute], print) as link:
            calls: dict[str, Callable[[], object]] = {
                "bare": bare.run,
                "training": partial(trainer_of(task, place).train, NET, self.samples),
                "round": partial(rounds, one, link, costs, {NET: self.state}),
                "evaluation": partial(predict_scores, bare.model, self.samples, self.recipe, self.compute.stack),
            }
            waited = {name: partial(self._wait_for, call) for name, call in calls.items()}
            in_turn(waited, 1)
            return in_turn(waited, repetitions)

    def peak_gb(self) -> float:
        """The most memory that torch's allocator held."""
        return torch.cuda.max_memory_allocated(self.compute.device) / 1e9 if self.compute.device.type == "cuda" else 0.0

    def _wait_for(self, call: Callable[[], object]) -> None:
        call()
        if self.compute.device.type == "cuda":
            torch.cuda.synchronize(self.compute.device)


class BareLoop:
    """What one would write to train one net on one card."""

    def __init__(self, bench: Bench) -> None:
        """Bring all images to the device, and build the net."""
        self._rule, self._norm, self._device = bench.stage.rule, bench.recipe.normaliser, bench.compute.device
        self._frames, self._flow = stack_images(bench.samples, self._device)
        self._targets = torch.tensor([float(_is_positive(s)) for s in bench.samples], device=self._device)
        self.model = TwoStream(bench.plan.architecture, 1).to(self._device, memory_format=torch.channels_last)
        self.model.load_state_dict(bench.state)

    def run(self) -> float:
        """One epoch; the loss, so that nobody can leave the work out."""
        rule, norm = self._rule, self._norm
        optimizer = torch.optim.SGD(self.model.parameters(), rule.learning_rate, rule.momentum, fused=True)
        self.model.train()
        total = torch.zeros((), device=self._device)
        for batch in torch.tensor_split(torch.randperm(len(self._frames)), -(-len(self._frames) // rule.batch_size)):
            places = batch.to(self._device)
            frames = (self._frames[places].unsqueeze(2).float() / 255 - norm.level_mean) / norm.level_sd
            flow = self._flow[places].float() * (0.04 / norm.flow_sd)
            with autocast(self._device, rule.precision):
                output = self.model(frames, flow)
            loss = _sum_losses((output.spatial, output.temporal, output.final), self._targets[places])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if rule.clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), rule.clip)
            optimizer.step()
            total += loss.detach()
        return float(total)


def _sum_losses(heads: Sequence[Tensor], targets: Tensor) -> Tensor:
    losses = [nnf.binary_cross_entropy_with_logits(head[:, 0].float(), targets) for head in heads]
    return torch.stack(losses).sum()


def _is_positive(sample: Sample) -> bool:
    return sample.label == NET.partition("/")[2]


def describe(bench: Bench, times: dict[str, Times], memory_gb: float) -> list[tuple[str, str, str]]:
    """The table's rows: what, figure, aim."""
    count, paper = len(bench.samples), count_paper_lesions()
    step, seen = times["training"].median / count, times["evaluation"].median / count
    counted = next(list_needs(bench.plan, bench.compute.device)).memory
    one = replace(counted, nets=counted.nets // len(SUBMODELS), total=counted.total // len(SUBMODELS), overhead=0)
    epoch = step * paper["training_a"]
    return [
        ("training of one net, lesions a second", f"{1 / step:.1f}", ""),
        ("its speed over the bare loop", f"{ratio(times['bare'], times['training']):.2f}", "≥ 0.95"),
        ("a round's speed over the bare loop", f"{ratio(times['bare'], times['round']):.2f}", "≥ 0.95"),
        (f"an epoch of one net over {paper['training_a']} lesions, s", f"{epoch:.1f}", "below 20 on an H200"),
        (f"the paper's plan on {CARDS} such cards, reckoned, h", f"{reckon_hours(step, seen):.1f}", "below 4"),
        ("most memory allocated, GB", f"{memory_gb:.1f}", "below the limit"),
        ("the same, counted from shapes, GB", f"{one.count(bench.stage.rule.batch_size) / 1e9:.1f}", ""),
    ]


def count_paper_lesions() -> dict[str, int]:
    """Lesions of each cohort in the study."""
    found: dict[str, int] = {}
    for case in draw_cases(build_split("paper"), SEED):
        found[case.cohort] = found.get(case.cohort, 0) + 1
    return found


def reckon_hours(step_s: float, seen_s: float) -> float:
    """Hours of the paper's plan on CARDS cards, from seconds a lesion and net in training and in evaluation.

    Every lesion is reckoned for every net, though biomarkers are known of a part. Fusion nets take no images.
    """
    held, seconds = count_paper_lesions(), 0.0
    for stage in load_plan(CONFIGS / "plan.paper.yaml").stages:
        nets = 1 if stage.name == "strategy_a" else len(SUBMODELS)
        if isinstance(stage, Train) and stage.name != "fusion":
            seconds += stage.rounds * stage.rule.epochs * nets * step_s * sum(held[c] for c in stage.cohorts)
            checks = sum(kind == "evaluate" for kind, _ in stage.sequence())
            seconds += checks * nets * seen_s * sum(held[c] for c in (stage.validate.cohorts if stage.validate else ()))
        else:  # the frozen sub-models see each lesion once
            seconds += nets * seen_s * sum(held[c] for c in getattr(stage, "cohorts", ()))
    return seconds / CARDS / 3600


def write_table(title: str, rows: Sequence[tuple[str, str, str]]) -> str:
    """The rows as Markdown."""
    lines = [f"{title}:", "", "| what | figure | aim |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


if __name__ == "__main__":
    main()
