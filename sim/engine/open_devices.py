"""The devices that `--devices` names, opened for a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch

from ceus_models.runtime.errors import ExpectedError
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.devices.micro_batches import BatchLimits
from client.worker.tasks.devices.resident_lesions import ResidentLesions

AUTO = "auto"
_NAME = re.compile(r"(cpu|cuda):(\d{1,3})")


def parse_devices(text: str) -> tuple[str, ...]:
    """The names of devices, as in `cuda:0,cuda:1`; `auto` names every card that torch sees, none where it sees none.

    Raises:
        ExpectedError: a name is no device's, stands twice, or is that of a card that is not there.

    >>> parse_devices("cpu:0, cpu:1")
    ('cpu:0', 'cpu:1')
    """
    cards = torch.cuda.device_count()
    if text.strip() == AUTO:
        return tuple(f"cuda:{number}" for number in range(cards))
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        found = _NAME.fullmatch(name)
        if not found or names.count(name) > 1:
            raise ExpectedError(f"expected devices as cuda:0,cuda:1, cpu:0,cpu:1 or auto, found {name!r} in {text!r}")
        if found[1] == "cuda" and int(found[2]) >= cards:
            raise ExpectedError(
                f"expected a graphics card {name}, torch sees {cards}; correct --devices, CUDA_VISIBLE_DEVICES or the "
                "driver, or leave --devices out"
            )
    return names


def parse_node_devices(text: str) -> tuple[str, ...]:
    """The names of each node's devices in a cluster; () for `auto`, the cards that the cluster knows of.

    Raises:
        ExpectedError: a name is no processor's, stands twice, or is a card's: cards are the cluster's to give.
    """
    if text.strip() == AUTO:
        return ()
    if "cuda" in text:
        raise ExpectedError(f"expected --devices auto with --link ray, found {text}: Ray gives each node its cards")
    return parse_devices(text)


def open_devices(names: Sequence[str], say: Callable[[str], None], compiled: bool = False) -> list[ComputeDevice]:
    """The devices of these names, whose images have all the memory that is not needed otherwise.

    The processor has one memory, so `cpu:0` and `cpu:1` are the same device to torch, with a thread each.
    """
    opened = []
    for name in names:
        device = torch.device("cpu" if name.startswith("cpu") else name)
        lesions = ResidentLesions(device, say)
        opened.append(ComputeDevice(device, name, lesions, BatchLimits(say), compiled))
    return opened
