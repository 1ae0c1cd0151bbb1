"""The messages between coordinator and site: a task, and an update or a refusal as the answer."""

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
    """Hyper-parameters of local training, which a site's policy can limit.

    `proximal_mu` is FedProx's μ (Li et al. 2020), `clip` the largest norm of a gradient; `augment` flips, shifts and
    changes the gain of training images at random (`ceus_models.nets.two_stream.augment_images`).
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
        """Raise ValueError for values out of range."""
        for name in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"expected {name} above 0, found {getattr(self, name)}")
        for name in ("momentum", "weight_decay", "proximal_mu"):
            if getattr(self, name) < 0:
                raise ValueError(f"expected {name} of at least 0, found {getattr(self, name)}")
        if self.clip is not None and self.clip <= 0:
            raise ValueError(f"expected clip above 0 or no clip, found {self.clip}")


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
    """Depth and width of the two streams; the study has ResNet34 over frames, ResNet18 over flow, and width 64."""

    spatial_depth: Literal[10, 18, 34, 50] = 34
    temporal_depth: Literal[10, 18, 34, 50] = 18
    width: Annotated[int, AfterValidator(_whole_steps)] = 64
    hidden: int = 128
    norm: Literal["group", "batch_local"] = "group"
    loss_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)


@checked(frozen=True, config=_STRICT)
class Normaliser:
    """Means and standard deviations from the federated statistics: levels 0-1, flow in px, 17 clinical variables."""

    level_mean: float
    level_sd: float
    flow_sd: float
    clinical_mean: tuple[float, ...]
    clinical_sd: tuple[float, ...]


@checked(frozen=True, config=_STRICT)
class Recipe:
    """What a site needs from the coordinator to build the nets and their inputs.

    Args:
        architecture: of the two-stream nets.
        normaliser: of their inputs.
        selected: the clinical variables of the fusion nets.
        class_weights: net → one weight a class (binary: negative, positive), from global counts.
        fusion_hidden: hidden units of a fusion net.
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
    """A request of the coordinator, the same for every site.

    Args:
        kind: of the work.
        study: digest of the plan.
        seed: of the study.
        stage: name of the stage.
        round: number of the round within the stage.
        nets: that are trained or evaluated.
        cohorts: whose lesions are used.
        inputs: tensors, such as the global weights.
        rule: of local training.
        recipe: of the nets.
        processing: digest of the processing settings.
        frozen: digest of the sub-models below a fusion net, "" where there are none.
        replicates: bootstrap replicates of an evaluation.
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
    """A site's answer, and all that leaves a site.

    Args:
        site: its name.
        sums: named tensors that the coordinator adds.
        weight: number of lesions behind the sums.
        spent: privacy spent (ε).
        task: id of the task (`ceus_models.protocol.message_ids.compute_task_id`).
    """

    site: str
    sums: State
    weight: float
    spent: float = 0.0
    task: str = ""


@dataclass(frozen=True)
class Refusal:
    """A site's refusal of a task: `code` for the program, `reason` for a person."""

    site: str
    reason: str
    code: RefusalCode = "error"


Message = Task | Update | Refusal
