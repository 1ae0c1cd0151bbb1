"""What it costs that a simulation computes with the same instructions on every processor.

    python -m benchmarks.instruction_set [--repetitions 7] [--steps 40] [--lesions 4] [--out FILE]

Two processes take turns, one with the pinned variables and one with what the processor has: steps of
a net of the demo's sizes (forward, backward, clip, step), then phantom lesions of the demo, written and read.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import torch

from benchmarks.measuring import Times, arguments, busy_ratio, in_turn, publish, quiet, ratio
from ceus_models.nets.two_stream import TwoStream
from ceus_models.plan.plan import load_plan
from client.data.dataset.index import build_index
from client.data.forms.site_config import load_site
from sim.hospital.hospital import write_hospital
from sim.hospital.prepare import draw_center_cases, parse_simulation
from sim.runs.instruction_set import PINS

DEMO = Path(__file__).parent.parent / "configs" / "plan.demo.yaml"
CENTER = 1


def main() -> None:
    """Time both in turn, report."""
    given = arguments(__doc__, repetitions=7, steps=40, lesions=4)
    quiet()
    own = _started({})
    pinned = _started(dict(PINS))
    rows = []
    for what, title in (("train", f"{given.steps} steps of a net"), ("lesions", f"{given.lesions} lesions")):
        count = given.steps if what == "train" else given.lesions
        calls = {"own": partial(_ask, own, what, count), "pinned": partial(_ask, pinned, what, count)}
        in_turn(calls, 1)
        rows.append(_row(title, in_turn(calls, given.repetitions)))
    head = ("what", "the processor's own, s", "pinned, s", "ratio", "ratio of processor time")
    publish(f"pinned instructions, {_ask(own, 'name', 0)} against {_ask(pinned, 'name', 0)}", head, rows, given.out)


def _row(title: str, times: dict[str, Times]) -> tuple[object, ...]:
    ratios = [round(of(times["pinned"], times["own"]), 3) for of in (ratio, busy_ratio)]
    return (title, times["own"], times["pinned"], *ratios)


def _started(variables: dict[str, str]) -> Connection:
    """A process with these variables, which does what it is asked for."""
    ours, theirs = multiprocessing.Pipe()
    before = dict(os.environ)
    os.environ.update(variables)
    multiprocessing.get_context("spawn").Process(target=_answer, args=(theirs,), daemon=True).start()
    os.environ.clear()
    os.environ.update(before)
    return ours


def _ask(process: Connection, what: str, count: int) -> object:
    process.send((what, count))
    return process.recv()


def _answer(asked: Connection) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    work: dict[str, Callable[[int], object]] = {"train": Training(), "lesions": _lesions}
    work["name"] = lambda _: torch.backends.cpu.get_cpu_capability()
    while True:
        try:
            what, count = asked.recv()
        except EOFError:
            return
        asked.send(work[what](count))


class Training:
    """Steps of one net of the demo on made-up lesions."""

    def __init__(self) -> None:
        plan = load_plan(DEMO)
        seen = plan.processing
        self.net = TwoStream(plan.architecture, 1).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9, fused=True)
        self.frames = torch.randn(8, seen.frames, 1, seen.size, seen.size)
        self.flow = torch.randn(8, seen.flow_maps, 2, seen.flow_size, seen.flow_size)

    def __call__(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.net(self.frames, self.flow).final.square().mean().backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
            self.optimizer.step()


def _lesions(count: int) -> None:
    plan = load_plan(DEMO)
    simulation = parse_simulation(plan.simulation)
    cases = draw_center_cases(simulation, 1)[CENTER][:count]
    with tempfile.TemporaryDirectory() as folder:
        write_hospital(Path(folder) / "site", Path(folder) / "truth", CENTER, cases, simulation.phantom, 1)
        build_index(load_site(Path(folder) / "site"), plan.processing)


if __name__ == "__main__":
    main()
