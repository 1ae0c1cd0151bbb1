"""The rounds of any stage of a plan."""

from __future__ import annotations

from ceus_models.plan.plan import Stage
from ceus_models.plan.rounds.counting import EvaluateRounds, HelloRounds, StatisticsRounds
from ceus_models.plan.rounds.stage_rounds import StageRounds
from ceus_models.plan.rounds.training import TrainRounds
from ceus_models.plan.stages import Evaluate, Hello, Statistics


def find_rounds(stage: Stage) -> StageRounds:
    """What the rounds of a stage do."""
    match stage:
        case Hello():
            return HelloRounds(stage)
        case Statistics():
            return StatisticsRounds(stage)
        case Evaluate():
            return EvaluateRounds(stage)
        case _:
            return TrainRounds(stage)
