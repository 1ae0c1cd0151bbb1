"""A training step on the processor, over its convolutions and matrix products alone; before and after a change.

    python -m benchmarks.step [--before REVISION] [--width demo|paper] [--repetitions 9] [--out FILE]

The step is the site's own (`client.worker.tasks.training`): lesions to batches, augmentation, net, losses, clipping and
optimiser; a round is one net's training at one site as the plan says, its weights filled in and its change taken out.
The bound is every convolution, LSTM and linear layer of that net with the same inputs, forward and backward, one after
the other. Demo width: 8 lesions a batch; paper width: one. With --before the same is timed in a process that runs
another revision of the repository. All take turns, pinned to the instructions of `ceus-sim`, and processor time is
compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measuring import ROOT, Times, busy_ratio, check_out, in_turn, publish, quiet
from ceus_models.nets.factory import CPU
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.nets.two_stream import prepare_inputs
from ceus_models.plan.plan import load_plan
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import LocalRule, Task
from ceus_models.protocol.state import add_prefix, digest
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from client.worker.tasks.training import trainer_of
from sim.runs.instruction_set import unset_pins
from tests.support.clients import lesion
from tests.support.federation import SEED, recipe_for

NET = "disease/HCC"


@dataclass(frozen=True)
class Width:
    """One size of net and pictures. steps, rounds: of one timed call, as the clock of processors is coarse."""

    plan: str
    lesions: int
    steps: int
    rounds: int


WIDTHS = {"demo": Width("plan.demo.yaml", 8, 24, 12), "paper": Width("plan.paper.yaml", 1, 2, 1)}


class Training:
    """The site's training of one net, and the bound below it."""

    def __init__(self, width: Width, memory: Path) -> None:
        plan = load_plan(ROOT / "configs" / width.plan)
        self._recipe, self._width = recipe_for(plan), width
        stage = next(stage for stage in plan.stages if isinstance(stage, Train))
        self._rule = replace(stage.strategy.local(stage.rule), precision="float32", augment=True)
        self._samples = [
            replace(lesion("site-01", number, plan.processing), label=("HCC", "HM")[number % 2])
            for number in range(width.lesions)
        ]
        self._inputs = build_initial_state(NET, self._recipe, SEED)
        self._place = Place("site-01", SiteMemory(memory))
        self._layers = self._observe()

    def steps(self) -> dict[str, Tensor]:
        """Many steps: their sums."""
        return self._train(replace(self._rule, batch_size=self._width.lesions, epochs=self._width.steps))

    def rounds(self) -> dict[str, Tensor]:
        """Some rounds as the plan says, all the same: the sums of one."""
        return [self._train(self._rule) for _ in range(self._width.rounds)][-1]

    def bound(self) -> None:
        """The layers alone, as often as in `steps`."""
        for _ in range(self._width.steps):
            for layer, given, wanted in self._layers:
                output = layer(given)
                output = output[0] if isinstance(layer, nn.LSTM) else output
                parameters = tuple(layer.parameters())
                torch.autograd.grad(output, (given, *parameters) if given.requires_grad else parameters, wanted)

    def _train(self, rule: LocalRule) -> dict[str, Tensor]:
        inputs = add_prefix(self._inputs, f"{NET}|")
        task = Task("train", "0" * 64, SEED, "submodels", 1, (NET,), recipe=self._recipe, rule=rule, inputs=inputs)
        trained = trainer_of(task, self._place).train(NET, self._samples)
        if trained is None:
            raise RuntimeError("the lesions have labels")
        return trained.sums

    def _observe(self) -> list[tuple[nn.Module, Tensor, Tensor]]:
        """Each layer that multiplies, what it is given in a step, and a gradient of what it answers."""
        module = load_net(NET, self._recipe, self._inputs, None, CPU).module
        found: list[tuple[nn.Module, Tensor, Tensor]] = []

        def seen(layer: nn.Module, given: tuple[Tensor, ...], answer: Any) -> None:
            output = answer[0] if isinstance(layer, nn.LSTM) else answer
            inputs = given[0].detach().requires_grad_(given[0].requires_grad)
            found.append((layer, inputs, torch.randn_like(output)))

        layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.LSTM | nn.Linear)]
        hooks = [layer.register_forward_hook(seen) for layer in layers]
        module(*prepare_inputs(self._samples, self._recipe.normaliser, CPU))
        for hook in hooks:
            hook.remove()
        return found


class Process:
    """The same in another process, of this or another revision; `call` returns what it says."""

    def __init__(self, tree: Path, width: str) -> None:
        command = [sys.executable, str(Path(__file__)), "--serve", width]
        environment = {**os.environ, **unset_pins(os.environ), "PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, what: str) -> str:
        """Do one thing once."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has pipes")
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise RuntimeError("the process has ended")
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve(width: str) -> None:
    """Do what the lines of standard input name; the digest of what came out is the answer."""
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        training = Training(WIDTHS[width], Path(folder))
        calls: dict[str, Callable[[], dict[str, Tensor] | None]] = {
            "steps": training.steps,
            "rounds": training.rounds,
            "bound": training.bound,
        }
        for line in sys.stdin:
            sums = calls[line.strip()]()
            print(digest(sums) if sums else "done", flush=True)


def main() -> None:
    """Time all in turn, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="a revision to compare with")
    parser.add_argument("--width", choices=WIDTHS, help="this one alone")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    parser.add_argument("--serve", choices=WIDTHS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    rows: list[Sequence[object]] = []
    with ExitStack() as stack:
        trees = {"after": ROOT}
        if given.before:
            trees["before"] = stack.enter_context(check_out(given.before))
        for width in [given.width] if given.width else WIDTHS:
            rows += compare(width, trees, given.repetitions)
    head = ("what", "ms of a processor", "over the bound", "over before", "bits")
    publish("a training step; aim: at most 1.3 times the bound", head, rows, given.out)


def compare(width: str, trees: dict[str, Path], repetitions: int) -> Iterator[Sequence[object]]:
    """The rows of one width."""
    processes = {name: Process(tree, width) for name, tree in trees.items()}
    try:
        calls = {("after", "bound"): partial(processes["after"].call, "bound")}
        calls |= {(n, what): partial(p.call, what) for n, p in processes.items() for what in ("steps", "rounds")}
        said = {key: call() for key, call in calls.items()}
        times = in_turn({"|".join(key): call for key, call in calls.items()}, repetitions)
    finally:
        for process in processes.values():
            process.close()
    parts = {"steps": WIDTHS[width].steps, "rounds": WIDTHS[width].rounds}
    bound = times["after|bound"]
    yield f"{width}: layers alone, a step", _milliseconds(bound, parts["steps"]), "", "", ""
    for name, what in sorted(calls.keys() - {("after", "bound")}, key=lambda key: (key[1], key[0]), reverse=True):
        taken, before = times[f"{name}|{what}"], times.get(f"before|{what}", Times())
        compared = name == "after" and "before" in processes
        yield (
            f"{width}: {'a step' if what == 'steps' else 'a round of one net'}, {name}",
            _milliseconds(taken, parts[what]),
            round(busy_ratio(taken, bound), 3) if what == "steps" else "",
            round(busy_ratio(taken, before), 3) if compared else "",
            ("other", "equal")[said[name, what] == said["before", what]] if compared else "",
        )


def _milliseconds(taken: Times, parts: int) -> str:
    each = sorted(1e3 * busy / parts for busy in taken.busy)
    return f"{each[len(each) // 2]:.2f} ({each[0]:.2f} to {each[-1]:.2f})"


if __name__ == "__main__":
    main()
