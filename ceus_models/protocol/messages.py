"""The messages between coordinator and site: a task, and an update or a refusal as the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from ceus_models.protocol.audit_mark import AuditMark, LastAnswer
from ceus_models.protocol.software import Software

if TYPE_CHECKING:  # commands that know messages by their names alone, such as `ceus-site check`, do without torch
    from ceus_models.protocol.state import State

PROTOCOL = 6
WIDTH_STEP = 8
"""A net's width is a multiple of it: maps of fewer channels make oneDNN write past its buffers (docs/decisions.md)."""

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_PRIVATE_STEP = {
    "epochs": 1,
    "optimizer": "sgd",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "proximal_mu": 0.0,
    "clip": None,
    "augment": False,
}
"""What a private rule says of local steps: there is one, and it is the coordinator's."""
Precision = Literal["float32", "bfloat16"]
Sharing = Literal["separate", "trunk"]
"""Whether each sub-model is a net of its own, or a head of one trunk."""
Level = Literal["none", "sums", "distributed", "local"]
"""What a stage's answers are protected by: nothing, secure sums, noise shared by the sites inside a secure sum, or the
whole noise of each site (docs/privacy.md)."""


@checked(frozen=True, config=_STRICT)
class Quantisation:
    """Changes as whole numbers on a step per tensor that all sites share, with error feedback (docs/decisions.md).

    Args:
        bits: of each number.
    """

    bits: Literal[8, 12, 16]


@checked(frozen=True, config=_STRICT)
class PrivateRule:
    """Differential privacy of training, with the patient as the unit (Abadi et al. 2016; McMahan et al. 2018).

    Args:
        clip: bound on the norm of one patient's gradient, over all his lesions.
        noise: standard deviation of the noise in the sum over sites, in multiples of `clip`.
        sites: whose shares make up the noise; 1 where each site adds all of it.
        views: augmented views of a patient that are averaged before clipping (De et al. 2022).
    """

    clip: Annotated[float, Field(gt=0)]
    noise: Annotated[float, Field(gt=0)]
    sites: Annotated[int, Field(ge=1)] = 1
    views: Annotated[int, Field(ge=1)] = 1


@checked(frozen=True, config=_STRICT)
class LocalRule:
    """Hyper-parameters of local training, which a site's policy can limit.

    `proximal_mu` is FedProx's μ (Li et al. 2020), `clip` the largest norm of a gradient; `augment` flips, shifts and
    changes the gain of training images at random (`ceus_models.nets.two_stream.augment_images`). `trains` names the
    parameters that change; `private` replaces local steps by one noised sum of patients' gradients, and the coordinator
    steps by `learning_rate`.
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
    trains: Literal["all", "heads"] = "all"
    private: PrivateRule | None = None

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
        for name, value in _PRIVATE_STEP.items() if self.private else ():
            if getattr(self, name) != value:
                raise ValueError(f"expected {name} {value} in a private rule, found {getattr(self, name)}")
        if self.trains == "heads" and not self.private:
            raise ValueError("expected trains all in a rule that is not private, found heads")


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
    """Means and standard deviations from the federated statistics: levels 0-1, flow in px, clinical variables."""

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
        class_weights: output → one weight a class (binary: negative, positive), from global counts.
        fusion_hidden: hidden units of a fusion net, 0 for a linear one.
        sharing: of the sub-models' layers.
    """

    architecture: Architecture
    normaliser: Normaliser
    selected: tuple[str, ...]
    class_weights: Mapping[str, tuple[float, ...]]
    fusion_hidden: int = 32
    sharing: Sharing = "separate"


@checked(frozen=True, config=_STRICT)
class CountNoise:
    """Noise of an evaluation's tables.

    Args:
        noise: standard deviation in the sum over sites, in multiples of what one patient can change.
        sites: whose shares make up the noise.
    """

    noise: Annotated[float, Field(gt=0)]
    sites: Annotated[int, Field(ge=1)] = 1


Question = Literal["hello", "tally", "train", "evaluate"]
"""What is asked about lesions."""
Kind = Literal[Question, "offer", "unmask"]
"""A question, or a step of the secure sum of one."""
RefusalCode = Literal[
    "policy", "version", "processing", "needs_frozen", "no_lesions", "error", "plan", "session", "budget", "audit"
]


@checked(frozen=True, config=_STRICT)
class Session:
    """One secure sum (Bonawitz et al. 2017): who takes part, and how many must help to open it.

    Args:
        id: 32 hexadecimal digits, new for every try of a round.
        sites: names, in order; a site's place + 1 is its point on the polynomials of Shamir's scheme.
        threshold: shares that give back a secret.
    """

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    sites: tuple[str, ...]
    threshold: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, eq=False)
class Task:
    """A request of the coordinator, the same for every site.

    Args:
        kind: of the work.
        study: digest of the plan.
        seed: of the study.
        stage: name of the stage.
        round: number of the round within the stage.
        nets: that are trained; of an evaluation, the outputs, each a net or a head of the trunk.
        cohorts: whose lesions are used.
        inputs: tensors, such as the global weights.
        rule: of local training.
        recipe: of the nets.
        processing: digest of the processing settings.
        frozen: digest of the sub-models below a fusion net, "" where there are none.
        replicates: bootstrap replicates with weights of the lesions, which pair the arms of a simulation.
        plan: the study's plan as canonical JSON, whose SHA-256 is `study`; in hello only.
        level: what protects the answer.
        session: of the secure sum that the answer goes into.
        survivors: of "unmask": the sites whose masked answers are in the sum.
        count_noise: of an evaluation's tables.
        roster: of a secure sum's messages: the federation's list of sites and keys, "" where there is none.
        changes: how a net's change travels; None as float32.
        attempt: 0, and one more each time that a released sum was lost for good: new noise, charged anew.
        comparisons: whether pairs, subgroups and readers are asked for beside each net's own counts.
        answers: site → what the coordinator has of its last answer.
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
    plan: str = ""
    level: Level = "none"
    session: Session | None = None
    survivors: tuple[str, ...] = ()
    count_noise: CountNoise | None = None
    attempt: int = 0
    comparisons: bool = False
    roster: str = ""
    changes: Quantisation | None = None
    answers: Mapping[str, LastAnswer] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Update:
    """A site's answer, and all that leaves a site.

    Args:
        site: its name.
        sums: named tensors that the coordinator adds.
        weight: number of lesions behind the sums.
        spent: privacy spent (ε).
        task: id of the task (`ceus_models.protocol.message_ids.compute_task_id`).
        audit: where the site's audit stood; None where it keeps none.
        withdrawn: patients of the study who have withdrawn here, as far as this message may say it.
        software: that made the answer; None in a simulation.
    """

    site: str
    sums: State
    weight: float
    spent: float = 0.0
    task: str = ""
    audit: AuditMark | None = None
    withdrawn: int = 0
    software: Software | None = None


@dataclass(frozen=True)
class Refusal:
    """A site's refusal of a task.

    Args:
        site: its name.
        reason: for a person.
        code: for the program.
        audit: as in `Update`.
    """

    site: str
    reason: str
    code: RefusalCode = "error"
    audit: AuditMark | None = None


Message = Task | Update | Refusal
