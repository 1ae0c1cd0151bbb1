"""Quantised changes of a task: each net's tensors in one vector of whole numbers, each tensor on a step of its own.

A site sends the numbers of its change per lesion; they are added times its lesions, which are whole numbers as well. So
a small site's change is as fine as a large one's, and its share of the rounding error is as small as its weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ceus_models.protocol.messages import Task
from ceus_models.protocol.quantisation import find_limit, unpack_numbers
from ceus_models.protocol.state import State, norm, select_net

STEPS = "#steps"
"""Input `<net>|#steps` f64 (tensors): the step of each of a net's tensors, in their order."""
CHANGE, SIZES = "change", "#sizes"
"""Of an answer: `<net>|change`, the packed numbers (d). Of a total: their sum (d) i64, and the sum of lesions · root
mean square of each tensor's numbers (tensors) f64."""
STEP_RANGE = 2.0**-48
"""The smallest step of a net, in multiples of the largest."""
LARGEST_WEIGHT = 1 << 31


@dataclass(frozen=True, eq=False)
class ChangeGrid:
    """The numbers of one net. bits: of each · shapes: of its tensors · steps: f64 (tensors)."""

    bits: int
    shapes: Mapping[str, torch.Size]
    steps: Tensor

    @property
    def count(self) -> int:
        """Numbers of the net."""
        return sum(self.counts)

    @property
    def counts(self) -> list[int]:
        """Numbers of each tensor."""
        return [shape.numel() for shape in self.shapes.values()]

    @property
    def limit(self) -> int:
        """The largest number."""
        return find_limit(self.bits)

    @property
    def rounding(self) -> float:
        """The largest norm of what rounding adds to a change per lesion."""
        return math.sqrt(sum(n * step**2 for n, step in zip(self.counts, self.steps.tolist(), strict=True)))

    def spread_steps(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The step of each number (d)."""
        return torch.repeat_interleave(self.steps.to(dtype), torch.tensor(self.counts))

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """A vector (d) as the net's tensors."""
        parts = torch.split(flat, self.counts)
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def measure_sizes(self, whole: Tensor) -> Tensor:
        """Root mean square of each tensor's whole numbers (tensors) f64; squares are added exactly."""
        squares = [int(part.long().square().sum()) for part in torch.split(whole, self.counts)]
        means = [math.sqrt(square / max(n, 1)) for square, n in zip(squares, self.counts, strict=True)]
        return torch.tensor(means, dtype=torch.float64)


def read_grid(task: Task, net: str) -> ChangeGrid:
    """The grid that a task states for a net. Raises KeyError where it states none."""
    if task.changes is None:
        raise KeyError(STEPS)
    shapes = {name: tensor.shape for name, tensor in select_net(task.inputs, net).items()}
    return ChangeGrid(task.changes.bits, shapes, task.inputs[f"{net}|{STEPS}"])


def bound_steps(start: State) -> tuple[float, float]:
    """The smallest and largest step of a net with these weights: a step above its norm would silence every site."""
    size = norm(start)
    most = 2.0 ** math.floor(math.log2(size)) if size > 0 and math.isfinite(size) else 1.0
    return most * STEP_RANGE, most


def find_steps_fault(task: Task) -> str | None:
    """The first rule that the steps of a quantised training task break: the error as text, or None."""
    for net in task.nets if task.changes else ():
        start, steps = select_net(task.inputs, net), task.inputs.get(f"{net}|{STEPS}")
        if steps is None or steps.dtype != torch.float64 or tuple(steps.shape) != (len(start),):
            return f"a step in float64 for each of the {len(start)} tensors of {net}"
        least, most = bound_steps(start)
        if not bool(((steps >= least) & (steps <= most) & (torch.frexp(steps).mantissa == 0.5)).all()):
            return f"steps of {net} that are powers of two from {least:g} to {most:g}"
    return None


def find_numbers_fault(sums: State, task: Task) -> str | None:
    """What is wrong with the whole numbers or the weight of a quantised answer: the error as text, or None."""
    for net, grid in _iterate_grids(sums, task):
        weight = float(sums[f"{net}|#weight"])
        if not (0 <= weight < LARGEST_WEIGHT and weight == int(weight)):
            return f"weight of {net} must be a whole number of lesions, found {weight:g}"
        whole = _unpack(sums, net, grid)
        if grid.count and int(whole.min()) < -grid.limit:
            return f"{net}|{CHANGE} must be {-grid.limit} to {grid.limit}, found {int(whole.min())}"
    return None


def expand_changes(sums: State, task: Task) -> dict[str, Tensor]:
    """What a quantised answer adds to a total: lesions · numbers, and their sizes."""
    total = {name: tensor for name, tensor in sums.items() if not name.endswith(f"|{CHANGE}")}
    for net, grid in _iterate_grids(sums, task):
        whole, weight = _unpack(sums, net, grid), int(sums[f"{net}|#weight"])
        total[f"{net}|{SIZES}"] = grid.measure_sizes(whole) * weight
        total[f"{net}|{CHANGE}"] = whole.long() * weight
    return total


def restore_changes(sums: State, task: Task) -> dict[str, Tensor]:
    """A quantised answer with lesions · change in float32 (d) in place of its numbers."""
    restored = dict(sums)
    for net, grid in _iterate_grids(sums, task):
        weight = float(sums[f"{net}|#weight"])
        restored[f"{net}|{CHANGE}"] = _unpack(sums, net, grid).float() * (grid.spread_steps() * weight)
    return restored


def restore_total(total: State, task: Task) -> dict[str, Tensor]:
    """A total with the sum of lesions · change in float64 (d) in place of its numbers."""
    restored = dict(total)
    for net, grid in _iterate_grids(total, task):
        restored[f"{net}|{CHANGE}"] = total[f"{net}|{CHANGE}"].double() * grid.spread_steps(torch.float64)
    return restored


def _iterate_grids(sums: State, task: Task) -> Iterator[tuple[str, ChangeGrid]]:
    for net in task.nets if task.changes else ():
        if f"{net}|{CHANGE}" in sums:
            yield net, read_grid(task, net)


def _unpack(sums: State, net: str, grid: ChangeGrid) -> Tensor:
    return unpack_numbers(sums[f"{net}|{CHANGE}"], grid.bits, grid.count)
