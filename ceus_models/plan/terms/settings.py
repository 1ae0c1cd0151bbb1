"""Settings of the study that every stage needs beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ceus_models.protocol.messages import Architecture, Recipe, Sharing

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Screening:
    """Upper bounds on the norm of one site's change of a net.

    Args:
        factor: multiple of the previous round's median norm per local step.
        first: multiple of the net's own norm, in the first round, which has no such median.
        floor: share of the net's own norm that is always accepted, so that a converged net does not exclude all sites.
    """

    factor: float = 20.0
    first: float = 10.0
    floor: float = 0.1

    def __post_init__(self) -> None:
        """Raise ValueError for a bound that would exclude all sites."""
        for name in ("factor", "first", "floor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True)
class Study:
    """Settings shared by all stages.

    Args:
        digest: of the plan.
        processing: digest of the processing settings.
        secure: whether a stage's answers go into secure sums.
        plan: the plan itself, as canonical JSON with that digest; hello brings it to the sites.
        recipe: of a plan with given constants, None where a statistics stage computes it.
        sharing: of the sub-models' layers.
        pretrained: public weights of the backbones, by name in a two-stream net; the coordinator has read them.
    """

    digest: str
    seed: int
    processing: str
    architecture: Architecture = field(default_factory=Architecture)
    fusion_hidden: int = 32
    screening: Screening = field(default_factory=Screening)
    secure: bool = False
    plan: str = ""
    recipe: Recipe | None = None
    sharing: Sharing = "separate"
    pretrained: Mapping[str, Tensor] = field(default_factory=dict)
