"""How many bytes of nets and changes a plan moves to and from one site. Tables of counts come on top: kilobytes."""

from __future__ import annotations

from dataclasses import dataclass

from ceus_models.nets.heads import list_outputs
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.train_stage import FIRST_BITS
from ceus_models.plan.words.net_sizes import count_weights
from ceus_models.plan.words.outline import PlanOutline, StageOutline
from ceus_models.protocol.privacy.secure_levels import SECURE_LEVELS
from ceus_models.study.taxonomy import FUSION_NETS, SUBMODELS, TRUNK, count_outputs

_FLOAT, _WORD = 4, 8  # bytes of a weight, and of a number of a secure sum


@dataclass(frozen=True)
class Traffic:
    """Bytes of a stage for one site that takes part in every round.

    Args:
        round_down, round_up: of one round of training, or of the one round of another stage.
        down, up: of the whole stage, rounds of validation and sub-models included.
    """

    round_down: int = 0
    round_up: int = 0
    down: int = 0
    up: int = 0


def estimate_traffic(plan: PlanOutline) -> dict[str, Traffic]:
    """Stage → its bytes, in order. Sub-models that fusion nets stand on are sent to a site once."""
    found: dict[str, Traffic] = {}
    has_submodels = False
    for stage in plan.stages:
        once = 0
        if set(expand_names(stage.nets)) & set(FUSION_NETS) and not has_submodels:
            frozen = (TRUNK,) if plan.sharing == "trunk" else SUBMODELS
            once, has_submodels = _FLOAT * _count(frozen, plan), True
        found[stage.name] = _estimate_stage(stage, plan, once)
    return found


def _estimate_stage(stage: StageOutline, plan: PlanOutline, once: int) -> Traffic:
    numbers = _count(stage.list_trained_nets(plan.sharing), plan)
    if stage.stage == "evaluate":
        return Traffic(_FLOAT * numbers + once, 0, _FLOAT * numbers + once, 0)
    if stage.stage != "train" or stage.rule is None:
        return Traffic()
    later = (2 if stage.weights == "bfloat16" else _FLOAT) * numbers
    up, first_up = _count_up(stage, plan, numbers)
    down = _FLOAT * numbers + (stage.rounds - 1 + stage.count_validations()) * later + once
    taken = max(1, round(stage.share * stage.rounds))  # the mean of sites that are sampled anew
    return Traffic(later, up, round(stage.share * down), first_up + (taken - 1) * up)


def _count_up(stage: StageOutline, plan: PlanOutline, numbers: int) -> tuple[int, int]:
    """Bytes of the changes of a later round, and of the first."""
    if stage.changes:
        if stage.level in SECURE_LEVELS:  # whole numbers that have room for the sum over sites of lesions
            return (3 if stage.changes.bits == 8 else 4) * numbers, 4 * numbers
        return numbers * stage.changes.bits // 8, numbers * FIRST_BITS // 8
    if stage.rule and stage.rule.trains == "heads":
        numbers = sum(_count_heads(net, plan) for net in stage.list_trained_nets(plan.sharing))
    each = (_WORD if stage.level in SECURE_LEVELS else _FLOAT) * numbers
    return each, each


def _count(nets: tuple[str, ...], plan: PlanOutline) -> int:
    return sum(count_weights(net, plan.architecture, plan.fusion_hidden) for net in nets)


def _count_heads(net: str, plan: PlanOutline) -> int:
    """The numbers of a two-stream net above its branches' summaries."""
    summary = 2 * plan.architecture.hidden
    return 2 * (summary + 1) * count_outputs(net) + (2 * summary + 1) * len(list_outputs(net))
