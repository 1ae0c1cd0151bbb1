"""The confusion matrices of a finished run and their bootstrap replicates, from the sums of its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceus_models.bundle.model_bundle import load_bundle
from ceus_models.plan.plan import parse_plan
from ceus_models.plan.stages import Evaluate
from ceus_models.protocol.state import State
from ceus_models.runtime.errors import ExpectedError
from server.report.publish import BUNDLE
from server.results.metrics import Floats
from server.results.replicates import Resampling
from server.rounds.saving.checkpoints import Store


@dataclass(frozen=True)
class ConfusionDraws:
    """The bootstrap replicates of a finished run, as its results have them.

    Args:
        noises: standard deviation of a cell's noise by stage.
        designs: effects by cohort or pool.
    """

    totals: Mapping[str, State]
    evaluations: Sequence[Evaluate]
    noises: Mapping[str, float]
    seed: int
    designs: Mapping[str, float]

    def find_confusion(self, net: str, cohort: str) -> Floats | None:
        """The confusion matrix (1+R k k) of a net, from the last evaluation on the cohort; None without a lesion."""
        name = f"{cohort}|{net}|confusion"
        for stage in reversed(self.evaluations):
            total = self.totals.get(stage.name, {})
            if name in total:
                design = self.designs.get(cohort, 1.0)
                return Resampling(self.seed, stage.replicates, self.noises[stage.name], design).read(total, name)
        return None


def open_draws(run: Path, results: Mapping[str, Any]) -> ConfusionDraws:
    """The replicates of a run's folder. Raises ExpectedError if it has no checkpoint or is of another version."""
    progress = Store(run).latest(str(results["plan_digest"]), int(results["seed"]))
    if progress is None:
        raise ExpectedError(f"expected a checkpoint in {run}, found none; copy the whole run, or finish it there")
    designs = {place: float(one["effect"]) for place, one in results.get("design", {}).items()}
    evaluations = _read_evaluations(run)
    noises = {s.name: s.compute_noise_sd(progress.count_evaluating(s.name)) for s in evaluations}
    return ConfusionDraws(progress.totals, evaluations, noises, int(results["seed"]), designs)


def _read_evaluations(run: Path) -> list[Evaluate]:
    plan, _ = parse_plan(load_bundle(run / BUNDLE).study["plan"])
    if plan is None:
        raise ExpectedError(f"expected a plan of this version in {run / BUNDLE}, found another; finish the run again")
    return [stage for stage in plan.stages if isinstance(stage, Evaluate)]
