"""What every stage must know of the study beside its own settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from ceus_models.protocol.messages import Architecture


@dataclass(frozen=True)
class Screening:
    """Bounds on how far one answer may move a net.

    factor: multiple of the previous round's median norm per local step · first: multiple of the net's own norm, in
    the first round, when there is no such median · floor: share of the net's own norm that always passes, so that a
    converged net does not exclude everyone.
    """

    factor: float = 20.0
    first: float = 10.0
    floor: float = 0.1

    def __post_init__(self) -> None:
        """Raises ValueError for bounds that would exclude everyone."""
        for name in ("factor", "first", "floor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True)
class Study:
    """digest: of the plan · processing: digest of the processing settings · seed: the study's."""

    digest: str
    seed: int
    processing: str
    architecture: Architecture = field(default_factory=Architecture)
    fusion_hidden: int = 32
    screening: Screening = field(default_factory=Screening)
