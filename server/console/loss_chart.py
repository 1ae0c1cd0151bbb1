"""Losses over the rounds as small drawings: one a net, training and validation told apart by line and mark.

Without the canvas: a page of the console is made in milliseconds, and loads no matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ceus_models.study.taxonomy import NETS

WIDTH, HEIGHT = 250, 110
"""Of the field that is drawn on, in units of the drawing."""
_CURVES = {"train": "training", "evaluate": "validation"}
_ORDER = {net: place for place, net in enumerate(NETS)}


@dataclass(frozen=True)
class Curve:
    """name: training or validation · points: (x, y) in the field, y downwards · first, last: losses."""

    name: str
    points: tuple[tuple[float, float], ...]
    first: float
    last: float

    @property
    def path(self) -> str:
        """For a polyline."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """One net in one stage. low, high: of all losses · first, last: rounds."""

    stage: str
    net: str
    curves: tuple[Curve, ...]
    low: float
    high: float
    first: int
    last: int


def build_charts(rounds: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Of the rounds of an overview, in the study's order of nets; validation only where there is training."""
    found: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for record in rounds:
        for net, loss in record["curves"].items():
            curve = _CURVES[record["kind"]]
            found.setdefault((record["stage"], net), {}).setdefault(curve, {})[record["round"]] = loss
    stages = list(dict.fromkeys(stage for stage, _ in found))
    order = sorted(found, key=lambda key: (stages.index(key[0]), _ORDER.get(key[1], len(_ORDER)), key[1]))
    return [_chart(key, found[key]) for key in order if "training" in found[key]]


def _chart(key: tuple[str, str], losses: Mapping[str, Mapping[int, float]]) -> Chart:
    values = [loss for curve in losses.values() for loss in curve.values()]
    numbers = [number for curve in losses.values() for number in curve]
    low, high, first, last = min(values), max(values), min(numbers), max(numbers)
    curves = []
    for name in (name for name in _CURVES.values() if name in losses):
        placed = tuple(_scale_points(losses[name].items(), (low, high), (first, last)))
        in_order = list(losses[name].values())
        curves.append(Curve(name, placed, in_order[0], in_order[-1]))
    return Chart(*key, tuple(curves), low, high, first, last)


def _scale_points(
    points: Iterable[tuple[int, float]], values: tuple[float, float], numbers: tuple[int, int]
) -> Iterator[tuple[float, float]]:
    """A single round, or losses that are all the same, lie in the middle."""
    for number, loss in points:
        x = (number - numbers[0]) / (numbers[1] - numbers[0]) if numbers[1] > numbers[0] else 0.5
        y = (loss - values[0]) / (values[1] - values[0]) if values[1] > values[0] else 0.5
        yield round(x * WIDTH, 1), round((1 - y) * HEIGHT, 1)
