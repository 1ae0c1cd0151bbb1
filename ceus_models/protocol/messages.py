"""What is said between coordinator and site: a task, and an update or a refusal as its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, ConfigDict
from pydantic.dataclasses import dataclass as checked

if TYPE_CHECKING:  # commands that know messages by their names alone, such as `ceus-site check`, do without torch
    from ceus_models.protocol.state import State

PROTOCOL = 1
WIDTH_STEP = 8
"""A net's width is a multiple of it: maps of fewer channels make oneDNN write past its buffers (docs/decisions.md)."""

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Precision = Literal["float32", "bfloat16"]


@checked(frozen=True, config=_STRICT)
class LocalRule:
    """The numbers of local training, which a site's policy can cap.

    augment: each time a sub-model sees a lesion in training, its pictures are turned, moved and made lighter or darker
    at random (`two_stream.augmented`).
    """

    epochs: int = 1
    batch_size: int = 8
    learning_rate: float = 0.05
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    proximal_mu: float = 0.0
    clip: float | None = None
    precision: Precision = "float32"
    augment: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that cannot train."""
        for name in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("momentum", "weight_decay", "proximal_mu"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.clip is not None and self.clip <= 0:
            raise ValueError(f"clip must be above 0 or absent, not {self.clip}")


def _whole_steps(width: int) -> int:
    """Raises ValueError for a width that is no multiple of WIDTH_STEP."""
    if width < WIDTH_STEP or width % WIDTH_STEP:
        nearest = max(WIDTH_STEP, -(-width // WIDTH_STEP) * WIDTH_STEP)
        raise ValueError(
            f"width must be a multiple of {WIDTH_STEP}, not {width}; make it {nearest} "
            "(oneDNN corrupts memory on maps of fewer channels)"
        )
    return width


@checked(frozen=True, config=_STRICT)
class Architecture:
    """Depth and width of the two streams. The study: ResNet34 over frames, ResNet18 over flow, width 64."""

    spatial_depth: Literal[10, 18, 34, 50] = 34
    temporal_depth: Literal[10, 18, 34, 50] = 18
    width: Annotated[int, AfterValidator(_whole_steps)] = 64
    hidden: int = 128
    norm: Literal["group", "batch_local"] = "group"
    loss_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)


@checked(frozen=True, config=_STRICT)
class Normaliser:
    """Moments from the federated statistics: levels in 0-1, flow in px, clinical values transformed (17 each)."""

    level_mean: float
    level_sd: float
    flow_sd: float
    clinical_mean: tuple[float, ...]
    clinical_sd: tuple[float, ...]


@checked(frozen=True, config=_STRICT)
class Recipe:
    """All that a site must know to build and feed the nets, and cannot derive by itself.

    class_weights: per net, one weight a class (binary: negative, positive), from global counts ·
    selected: the clinical variables that the fusion nets see.
    """

    architecture: Architecture
    normaliser: Normaliser
    selected: tuple[str, ...]
    class_weights: Mapping[str, tuple[float, ...]]
    fusion_hidden: int = 32


Kind = Literal["hello", "tally", "train", "evaluate"]
RefusalCode = Literal["policy", "version", "processing", "needs_frozen", "no_lesions", "error"]


@dataclass(frozen=True, eq=False)
class Task:
    """What the coordinator asks of every site alike.

    study: digest of the plan · processing: digest of the processing settings · frozen: digest of the sub-models that
    a fusion net stands on, "" where none · replicates: bootstrap replicates of an evaluation.
    """

    kind: Kind
    study: str
    seed: int
    stage: str
    round: int
    nets: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    inputs: State = field(default_factory=dict)
    rule: LocalRule | None = None
    recipe: Recipe | None = None
    processing: str = ""
    frozen: str = ""
    replicates: int = 0


@dataclass(frozen=True, eq=False)
class Update:
    """All that leaves a site. weight: lesions that the sums are made of · spent: privacy spent · task: the id of the
    task that it answers (`ceus_models.protocol.message_ids.asked_id`).
    """

    site: str
    sums: State
    weight: float
    spent: float = 0.0
    task: str = ""


@dataclass(frozen=True)
class Refusal:
    """The other answer: `code` is for the coordinator's program, `reason` for its reader."""

    site: str
    reason: str
    code: RefusalCode = "error"


Message = Task | Update | Refusal
