"""Federated strategies: how the mean change of a round gives the next net.

All use only the sum of the sites' changes (`additive`), so they work with secure aggregation.

Flower averages the sites' nets in float32 and rounds for every site, in the order of arrival. Here sites send their
change, the sum of changes is exact, and the net is rounded once at the end. The two are bit-equal wherever Flower's
arithmetic is exact, and otherwise differ by Flower's rounding: tests/ceus_models/plan/test_strategies.py checks FedAvg
and FedProx to 2 units in the last place of the largest weight that was sent, and to 1 unit of the true mean. FedAdam
divides by the size of the change, which multiplies Flower's rounding of `mean net - net` by learning_rate / tau.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ceus_models.protocol.messages import LocalRule

if TYPE_CHECKING:  # a plan is read without torch
    from torch import Tensor

    from ceus_models.protocol.state import State

    StepResult = tuple[dict[str, Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class FedAvg:
    """Federated averaging: the mean of the sites' nets, weighted by labelled lesions (McMahan et al. 2017).

    >>> import torch
    >>> net, _ = FedAvg().step({"w": torch.tensor([1.0])}, {"w": torch.tensor([0.5])}, {})
    >>> net["w"]
    tensor([1.5000])
    """

    name: Literal["fedavg"] = "fedavg"
    additive: ClassVar[bool] = True

    def local(self, rule: LocalRule) -> LocalRule:
        """The rule that sites train under."""
        return rule

    def step(self, current: State, mean_change: State, memory: State) -> StepResult:
        """The next net and memory.

        Args:
            mean_change: Σ weight · (local - current) / Σ weight, float64.
        """
        return _apply_change(current, mean_change), dict(memory)


@dataclass(frozen=True)
class FedProx:
    """FedAvg with the proximal term (mu / 2)·‖local - global‖² in each site's loss (Li et al. 2020)."""

    mu: float
    name: Literal["fedprox"] = "fedprox"
    additive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raise ValueError for a negative mu."""
        if self.mu < 0:
            raise ValueError(f"mu must be at least 0, not {self.mu}")

    def local(self, rule: LocalRule) -> LocalRule:
        """The rule that sites train under: `mu` is its proximal term."""
        return replace(rule, proximal_mu=self.mu)

    def step(self, current: State, mean_change: State, memory: State) -> StepResult:
        """As FedAvg."""
        return _apply_change(current, mean_change), dict(memory)


@dataclass(frozen=True)
class FedAvgM:
    """FedAvg with momentum on the mean change (Hsu et al. 2019): v ← momentum · v + mean change, net ← net + rate · v.

    A site takes few steps in a round and starts each round with a new optimiser, so the momentum is kept here.

    >>> import torch
    >>> _, memory = FedAvgM().step({"w": torch.tensor([1.0])}, {"w": torch.tensor([0.5])}, {})
    >>> FedAvgM().step({"w": torch.tensor([1.5])}, {"w": torch.tensor([0.5])}, memory)[0]["w"]
    tensor([2.4500])
    """

    momentum: float = 0.9
    learning_rate: float = 1.0
    name: Literal["fedavgm"] = "fedavgm"
    additive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that cannot step."""
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, not {self.momentum}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")

    def local(self, rule: LocalRule) -> LocalRule:
        """The rule that sites train under."""
        return rule

    def step(self, current: State, mean_change: State, memory: State) -> StepResult:
        """The next net, and the velocity as "v|<name>" (float64)."""
        velocity = {
            name: self.momentum * memory.get(f"v|{name}", change.new_zeros(change.shape)) + change
            for name, change in ((name, mean_change[name].double()) for name in current)
        }
        moves = {name: self.learning_rate * v for name, v in velocity.items()}
        return _apply_change(current, moves), {f"v|{name}": v for name, v in velocity.items()}


@dataclass(frozen=True)
class FedAdam:
    """Adam on the mean change (Reddi et al. 2021, Algorithm 2), with Flower's bias correction.

    As in Flower, the betas are raised to the power round + 1, not round. Defaults are Flower's.
    """

    learning_rate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3
    name: Literal["fedadam"] = "fedadam"
    additive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that cannot step."""
        for name in ("learning_rate", "tau"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")

    def local(self, rule: LocalRule) -> LocalRule:
        """The rule that sites train under."""
        return rule

    def step(self, current: State, mean_change: State, memory: State) -> StepResult:
        """The next net, and the moments as "m|<name>", "v|<name>" with the number of steps "#steps"."""
        none = next(iter(current.values())).new_zeros(()).cpu().long()
        steps = memory.get("#steps", none) + 1
        power = float(steps) + 1.0
        rate = self.learning_rate * np.sqrt(1 - self.beta2**power) / (1 - self.beta1**power)
        net: dict[str, Tensor] = {}
        kept: dict[str, Tensor] = {"#steps": steps}
        for name, old in current.items():
            change = mean_change[name].float()
            m = self.beta1 * _moment(memory, "m|", name, change) + (1 - self.beta1) * change
            v = self.beta2 * _moment(memory, "v|", name, change) + (1 - self.beta2) * change**2
            # m, v and the divisor in float32, the step in float64: as NumPy promotes them in Flower. The root is
            # NumPy's as well, because torch's on a CPU is off by one unit for some numbers.
            divisor = v.new_tensor(np.sqrt(v.cpu().numpy())) + self.tau
            net[name] = (old.double() + rate * m.double() / divisor.double()).to(old.dtype)
            kept |= {f"m|{name}": m, f"v|{name}": v}
        return net, kept


Strategy = FedAvg | FedProx | FedAvgM | FedAdam
"""All strategies: a new one is a frozen class and an entry here."""


def _apply_change(current: State, change: State) -> dict[str, Tensor]:
    return {name: (old.double() + change[name].double()).to(old.dtype) for name, old in current.items()}


def _moment(memory: Mapping[str, Tensor], prefix: str, name: str, like: Tensor) -> Tensor:
    return memory.get(prefix + name, like.new_zeros(like.shape))
