"""The coordinator's own loop over made-up sites, from the training stage on: nothing saved, every round timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.protocol.messages import Normaliser, Recipe
from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import CLINICAL
from server.rounds.coordinator import run
from server.rounds.events import Event, Finished
from server.rounds.round import Link
from server.rounds.saving.checkpoints import Store

COHORT = "training_a"
SEED = 1


def recipe_for(plan: Plan) -> Recipe:
    """A recipe as the statistics stage would give it for random pictures."""
    normaliser = Normaliser(0.5, 0.29, 2.9, (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL))
    return Recipe(plan.architecture, normaliser, ("age", "AFP"), {}, plan.fusion_hidden)


@dataclass(frozen=True)
class Unsaved(Store):
    """Begins at `start` and writes nothing."""

    start: Progress = field(default_factory=Progress)

    def save(self, progress: Progress, plan: str, seed: int) -> None:
        """Nothing."""

    def latest(self, plan: str, seed: int) -> Progress | None:
        """The start."""
        return self.start


def rounds(plan: Plan, link: Link, lesions: Mapping[str, int], nets: Mapping[str, State] | None = None) -> list[float]:
    """Run the plan's stages, training only, as the coordinator would after hello and statistics; seconds a round.

    lesions: by site, as hello would have counted them · nets: to start from, where not from their initial state.
    """
    counts = {site: {COHORT: count} for site, count in lesions.items()}
    start = Progress(recipe=recipe_for(plan), counts=counts, nets=nets or {})
    seconds: list[float] = []

    def heard(event: Event) -> None:
        if isinstance(event, Finished):
            seconds.append(event.record.seconds)
            if len(event.record.counted) != len(lesions):
                raise RuntimeError(f"a benchmark counts all sites, but: {event.record}")

    run(plan, link, Unsaved(Path("nowhere"), start), SEED, heard)
    return seconds
