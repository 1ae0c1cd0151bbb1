"""What the rounds of a stage do: the task for all sites, and the use of their summed answers.

Every method is pure. `prepare` updates the progress before a round, `task` is the task for all sites, `summand` is
what one answer adds to the round's total, `absorb` puts the total into the progress. The coordinator is the same for
all kinds of stage.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from ceus_models.nets.heads import list_nets
from ceus_models.plan.progress import Progress
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Study
from ceus_models.plan.wire_nets import frozen_digest, on_wire
from ceus_models.protocol.messages import Kind, Task, Update
from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import FUSION_NETS


class StageRounds(Protocol):
    """A part of the study that takes one or more rounds."""

    def prepare(self, progress: Progress, study: Study) -> Progress:
        """Create what the round needs, for example initial nets."""

    def task(self, progress: Progress, study: Study) -> Task:
        """The task for every site in the round `progress.step`."""

    def summand(self, task: Task, update: Update) -> State:
        """What a screened answer adds to the round's total."""

    def absorb(self, progress: Progress, study: Study, total: State, record: RoundRecord) -> Progress:
        """The progress after the round. total: sums over counted sites, floats in float64."""


def build_task(
    kind: Kind,
    stage: str,
    progress: Progress,
    study: Study,
    cohorts: tuple[str, ...],
    nets: tuple[str, ...] = (),
) -> Task:
    """Build a task of `kind` for some nets or outputs, with the current parameters and the settings of the study."""
    return Task(
        kind=kind,
        study=study.digest,
        seed=study.seed,
        stage=stage,
        round=progress.step,
        nets=nets,
        cohorts=cohorts,
        inputs=on_wire({net: progress.nets[net] for net in list_nets(nets, study.sharing)}),
        recipe=progress.recipe,
        processing=study.processing,
        frozen=progress.frozen if any(net in FUSION_NETS for net in nets) else "",
    )


def set_frozen_digest(progress: Progress, nets: tuple[str, ...]) -> Progress:
    """Set the digest of the current sub-models if one of `nets` is a fusion net, which uses them."""
    return replace(progress, frozen=frozen_digest(progress)) if any(net in FUSION_NETS for net in nets) else progress
