"""What a plan needs of each device's memory, said before it starts, or refused with the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from ceus_models.nets.factory import build_on_meta
from ceus_models.plan.plan import Plan
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import LocalRule, Normaliser, Recipe
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, FUSION_NETS
from client.policy.machine import read_memory_bytes
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.devices.memory_needs import LesionMemory, RoundMemory, count_round, measure_lesion
from client.worker.tasks.devices.micro_batches import BatchLimit

_SHARE = 0.92
"""Of a card's memory that is planned with; the rest is lost between blocks of the allocator."""
_CARD_OVERHEAD = 1 << 30
"""Bytes that CUDA, cuDNN and cuBLAS take themselves."""
_NO_IMAGES = LesionMemory(0, 0, 0)


@dataclass(frozen=True)
class StageNeed:
    """What the rounds of a stage need: nets of the same name before "/" share a limit of their batches."""

    stage: str
    families: tuple[str, ...]
    batch: int
    memory: RoundMemory


def prepare_devices(plan: Plan, devices: Sequence[ComputeDevice], lesions: int, say: Callable[[str], None]) -> None:
    """Say what a plan needs of each device; set the limits of batches and the room for images.

    Args:
        plan: of the study.
        devices: that share the lesions.
        lesions: of all sites.
        say: gets one sentence a device.

    Raises:
        ExpectedError: a device has too little memory for a step with one lesion.
    """
    for device in devices:
        has = read_device_memory(device.device) / sum(one.device == device.device for one in devices)
        fit_device(plan, device, has, lesions / len(devices), say)


def fit_device(plan: Plan, device: ComputeDevice, has: float, lesions: float, say: Callable[[str], None]) -> None:
    """Fit a plan into `has` bytes of a device that holds about so many lesions. Raises as `prepare_devices`."""
    recomputes = plan.architecture.norm == "group"
    most, least, said = 0, has, ""
    for need in list_needs(plan, device.device):
        limit = need.memory.find_limit(need.batch, has, recomputes)
        if limit is None:
            raise ExpectedError(_refuse(need, device, has, recomputes))
        count = need.memory.count(limit.lesions or need.batch, limit.recomputed)
        for family in need.families if limit.lesions else ():
            device.limits.named[family] = min(limit, device.limits.find(family), key=_order_limits)
        if count > most:
            most, least, said = count, has - count, _describe(need, limit.lesions or need.batch, limit.recomputed)
    images = plan.processing.frames * plan.processing.size**2
    images += 2 * plan.processing.flow_maps * plan.processing.flow_size**2
    if device.lesions:
        device.lesions.budget_bytes = least
    held = min(1.0, least / max(1.0, images * lesions))
    say(
        f"{device.name} has {has / 1e9:.1f} GB; {said}. Images of {lesions:.0f} lesions are "
        f"{images * lesions / 1e9:.1f} GB, of which {held:.0%} stay there"
    )


def list_needs(plan: Plan, device: torch.device) -> Iterator[StageNeed]:
    """What each training stage of a plan needs on a device."""
    recipe = Recipe(
        plan.architecture, Normaliser(0.0, 1.0, 1.0, (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL)), CLINICAL_NAMES,
        {}, plan.fusion_hidden, sharing=plan.sharing,
    )  # fmt: skip
    overhead = 0 if device.type == "cpu" else _CARD_OVERHEAD
    for stage in plan.stages:
        if not isinstance(stage, Train):
            continue
        nets, rule = stage.list_trained_nets(plan.sharing), stage.strategy.local(stage.rule)
        sizes = [sum(p.numel() for p in build_on_meta(net, recipe).parameters()) for net in nets]
        small = set(nets) <= set(FUSION_NETS)
        lesion = (
            _NO_IMAGES if small else measure_lesion(plan.architecture, plan.processing, device, _is_half(rule, device))
        )
        batch = rule.private.views if rule.private else rule.batch_size
        families = tuple(dict.fromkeys(net.partition("/")[0] for net in nets))
        yield StageNeed(stage.name, families, batch, count_round(sizes, rule, lesion, overhead))


def read_device_memory(device: torch.device) -> float:
    """Bytes of a device that a plan may take."""
    if device.type == "cpu":
        return float(read_memory_bytes())
    return _SHARE * torch.cuda.mem_get_info(device)[0]


def _order_limits(limit: BatchLimit) -> tuple[bool, float]:
    """The stricter limit first."""
    return not limit.recomputed, limit.lesions or float("inf")


def _is_half(rule: LocalRule, device: torch.device) -> bool:
    return rule.precision == "bfloat16" and device.type == "cuda"


def _describe(need: StageNeed, lesions: int, recomputed: bool) -> str:
    memory, gb = need.memory, 1e9
    step = f"{lesions} of {need.batch} lesions at once" + (" with activations computed again" if recomputed else "")
    return (
        f"stage {need.stage} needs {memory.count(lesions, recomputed) / gb:.1f} GB: nets of a round "
        f"{memory.nets / gb:.1f}, answers {memory.total / gb:.1f}, the net in training {memory.trained / gb:.1f}, "
        f"{step} {memory.lesion.count(lesions, recomputed) / gb:.1f}, the device itself {memory.overhead / gb:.1f}"
    )


def _refuse(need: StageNeed, device: ComputeDevice, has: float, recomputes: bool) -> str:
    aid = "" if recomputes else "norm group, whose activations can be computed again, "
    return (
        f"expected a device with memory for one lesion, {device.name} has {has / 1e9:.1f} GB and "
        f"{_describe(need, 1, recomputes)}; take a card with more memory, {aid}fewer nets at once (sharing: trunk), "
        "smaller images (processing.size) or a narrower net (architecture.width)"
    )
