"""What is checked of a task before a lesion is looked at: nothing that a patient's values could decide."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import torch

from ceus_models.metrics.ood import REQUEST_TENSOR
from ceus_models.nets.factory import CPU
from ceus_models.nets.heads import list_nets
from ceus_models.nets.module_cache import check_fit
from ceus_models.plan.answers.change_grid import find_steps_fault
from ceus_models.protocol.message_ids import SESSION_MARK
from ceus_models.protocol.messages import Kind, Level, Task
from ceus_models.protocol.state import is_finite, select_net
from ceus_models.study.cohorts import is_of_one_center
from ceus_models.study.taxonomy import CLINICAL_NAMES, FUSION_NETS, STRATEGY_A, SUBMODELS, count_outputs
from client.policy.policy import TaskDeclined
from client.policy.privacy_levels import PrivacyLevels

SESSION_KINDS = ("offer", "unmask")
"""Messages of the secure sum of a round, before and after its task."""


def check_tensors(task: Task, device: torch.device = CPU) -> None:
    """Check names, shapes and values of a task's tensors.

    Args:
        device: of the nets, where one that is there already shows its shapes.

    Raises:
        TaskDeclined: a tensor belongs to no net of the task, a net does not fit its recipe, or a number is not finite.
    """
    sharing = task.recipe.sharing if task.recipe else "separate"
    asked, frozen = list_nets(task.nets, sharing), list_nets(SUBMODELS if task.frozen else (), sharing)
    known = {*asked, *frozen}
    for name, tensor in task.inputs.items():
        net = name.partition("|")[0]
        if name != REQUEST_TENSOR and not name.startswith(SESSION_MARK) and net not in known:
            raise TaskDeclined("plan", f"expected tensors of the task's nets, found {name[:60]!r}; send the nets only")
        if not is_finite({name: tensor}):
            raise TaskDeclined("plan", f"expected finite numbers, {name[:60]!r} has others; send finite weights")
    if task.recipe is None:
        return
    sent = {name.partition("|")[0] for name in task.inputs}
    for net in (*asked, *(net for net in frozen if net in sent and net not in asked)):
        try:
            check_fit(net, task.recipe, select_net(task.inputs, net), device)
        except (KeyError, ValueError):
            raise TaskDeclined(
                "plan", f"expected the tensors of {net} by the task's recipe, found others; send the plan's net"
            ) from None


def check_steps(task: Task) -> None:
    """Check the steps of quantised changes against the weights that the task brings.

    Raises:
        TaskDeclined: a step is missing, no power of two, or out of bounds; or the task trains nothing.
    """
    if task.changes is None:
        return
    if task.kind not in ("train", *SESSION_KINDS) or (task.rule and task.rule.private):
        raise TaskDeclined("plan", "expected quantised changes of training without noise, found another task")
    if task.kind == "train" and (fault := find_steps_fault(task)):
        raise TaskDeclined("plan", f"expected {fault}, found others; send the steps of the plan's round")


def check_recipe(task: Task) -> None:
    """Check that a recipe could come from statistics of lesions.

    Raises:
        TaskDeclined: a variable stands twice or is unknown, or a net has weights of another number of classes.
    """
    recipe = task.recipe
    if recipe is None:
        return
    if len(set(recipe.selected)) < len(recipe.selected) or set(recipe.selected) - set(CLINICAL_NAMES):
        raise TaskDeclined("plan", "expected each selected variable once, by the taxonomy's names; mend the recipe")
    for net, weights in recipe.class_weights.items():
        known = net in (*SUBMODELS, STRATEGY_A, *FUSION_NETS)
        if not known or len(weights) != max(2, count_outputs(net)) or min(weights) <= 0:
            raise TaskDeclined("plan", f"expected one weight above 0 a class, {net[:40]} has others; mend the recipe")


def check_alone(
    asked: Iterable[tuple[Kind, Level, Sequence[str]]], held: Collection[str], levels: PrivacyLevels
) -> None:
    """Check that no secure sum without noise would be this hospital's own numbers.

    Args:
        asked: kind of task, its level and its cohorts, of one task or of all stages of a plan.
        held: cohorts that this site has lesions of.
        levels: what the hospital wants.

    Raises:
        TaskDeclined: a cohort is of this center alone, and the policy neither allows that nor numbers without a sum.
    """
    for kind, level, cohorts in asked:
        own = [cohort for cohort in cohorts if cohort in held and is_of_one_center(cohort)]
        if own and level == "sums" and levels.find_level(kind) != "none" and not levels.alone:
            raise TaskDeclined(
                "policy",
                f"expected cohorts of several hospitals in a sum without noise, found {', '.join(own)}, which this "
                "hospital has alone, so that the sum is its own numbers; ask with noise, or the hospital sets "
                "privacy.alone: true",
            )
