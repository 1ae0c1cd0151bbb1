"""Batches that do not fit the device's memory are worked on in parts, with the same gradient up to rounding.

The parts' gradients add: each part's losses are divided by the number of lesions of the whole batch. Where one lesion
alone does not fit, activations are computed again in the backward pass (Chen et al. 2016), at a third more time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ceus_models.nets.recomputation import can_recompute, recompute_activations

Losses = Callable[[Tensor], Tensor]
"""Lesion indices (b) → loss of each (b)."""


@dataclass(frozen=True)
class BatchLimit:
    """lesions: most in one part, None: all of a batch · recomputed: whether activations are not kept."""

    lesions: int | None = None
    recomputed: bool = False


@dataclass(eq=False)
class BatchLimits:
    """The limits of nets on one device. say: told once for every limit.

    named: a net's shape → its limit; a limit once learnt holds for all sites and rounds.
    """

    say: Callable[[str], None] = lambda text: None
    named: dict[str, BatchLimit] = field(default_factory=dict)

    def find(self, name: str) -> BatchLimit:
        """The limit of a net."""
        return self.named.get(name, BatchLimit())

    def lower(self, name: str, module: nn.Module, lesions: int) -> None:
        """Take the next lower limit after a batch of so many lesions did not fit.

        Raises:
            torch.OutOfMemoryError: there is none.
        """
        limit = self.find(name)
        size = min(lesions, limit.lesions or lesions)
        if size > 1:
            self.named[name] = replace(limit, lesions=(size + 1) // 2)
            said = f"batches are worked on in parts of {(size + 1) // 2} lesions, with the same step up to rounding"
            if any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()):
                said += "; norm batch_local sees the part's statistics, not the batch's: norm group would not differ"
        elif not limit.recomputed and can_recompute(module):
            self.named[name] = replace(limit, lesions=1, recomputed=True)
            said = "activations are computed again in the backward pass, which takes a third longer"
        else:
            raise torch.OutOfMemoryError(
                f"expected memory for one lesion of {name}, found too little; use a card with more, a smaller image "
                "size or a narrower net"
            )
        self.say(f"{name}: a training step does not fit the device's memory; {said}")


@dataclass(frozen=True, eq=False)
class MicroBatches:
    """Adds the gradient of a batch's mean loss to the parameters, in as many parts as the memory asks for.

    Args:
        module: that is trained; its gradients are empty before a batch.
        losses: of lesions.
        generators: that `losses` draws from, put back where a batch is tried again.
        name: of the net, for its limit.
        limits: of the device.
    """

    module: nn.Module
    losses: Losses
    generators: Sequence[torch.Generator] = ()
    name: str = "net"
    limits: BatchLimits = field(default_factory=BatchLimits)

    def __post_init__(self) -> None:
        """Take over what is known of the net."""
        recompute_activations(self.module, self.limits.find(self.name).recomputed)

    def __call__(self, batch: Tensor) -> Tensor:
        """The losses (b) of the lesions of a batch, whose gradient has been added. Raises OutOfMemoryError."""
        while True:
            before = [generator.get_state() for generator in self.generators]
            try:
                return self._add_gradients(batch, self.limits.find(self.name).lesions or len(batch))
            except torch.OutOfMemoryError:
                pass  # the next try begins when this one's tensors are gone, with the exception that holds them
            self.module.zero_grad(set_to_none=True)
            for generator, state in zip(self.generators, before, strict=True):
                generator.set_state(state)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.limits.lower(self.name, self.module, len(batch))
            recompute_activations(self.module, self.limits.find(self.name).recomputed)

    def _add_gradients(self, batch: Tensor, lesions: int) -> Tensor:
        seen = []
        for part in torch.tensor_split(batch, -(-len(batch) // lesions)):
            each = self.losses(part)
            (each.sum() / len(batch)).backward()  # type: ignore[no-untyped-call]
            seen.append(each.detach())
        return seen[0] if len(seen) == 1 else torch.cat(seen)
