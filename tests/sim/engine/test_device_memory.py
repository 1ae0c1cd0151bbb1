from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.devices.micro_batches import BatchLimit
from client.worker.tasks.devices.resident_lesions import ResidentLesions
from sim.engine.device_memory import fit_device, prepare_devices

CONFIGS = Path(__file__).parents[3] / "configs"
PAPER = load_plan(CONFIGS / "plan.paper.yaml")
GB = 1e9


def card(say: object = print) -> ComputeDevice:
    device = torch.device("cuda:0")
    return ComputeDevice(device, "cuda:0", ResidentLesions(device, say))


def test_the_papers_plan_fits_a_card_of_24_gb_and_says_what_it_takes() -> None:
    device, said = card(), list[str]()
    fit_device(PAPER, device, 0.92 * 24 * GB, 1863, said.append)
    assert len(said) == 1
    assert said[0].startswith("cuda:0 has 22.1 GB; stage submodels needs")
    assert "8 of 8 lesions at once" in said[0]
    assert "of which 100% stay there" in said[0]
    assert not device.limits.named
    assert device.lesions is not None
    assert 1863 * 1.5e6 < device.lesions.budget_bytes < 15 * GB


def test_on_a_smaller_card_batches_are_parts_and_on_a_still_smaller_one_activations_are_computed_again() -> None:
    device, said = card(), list[str]()
    fit_device(PAPER, device, 11 * GB, 1863, said.append)
    limit = device.limits.named["disease"]
    assert limit.lesions is not None
    assert limit.lesions < 8
    assert not limit.recomputed
    assert f"{limit.lesions} of 8 lesions at once" in said[0]
    device = card()
    fit_device(PAPER, device, 7.5 * GB, 1863, said.append)
    assert device.limits.named["biomarker"] == BatchLimit(1, recomputed=True)


def test_a_plan_that_is_too_large_is_refused_with_the_remedy() -> None:
    for plan, remedy in (
        (PAPER, "sharing: trunk"),
        (replace(PAPER, architecture=replace(PAPER.architecture, norm="batch_local")), "norm group, whose"),
    ):
        with pytest.raises(ExpectedError, match=remedy) as refusal:
            fit_device(plan, card(), 4 * GB, 1863, print)
        assert "cuda:0 has 4.0 GB and stage submodels needs" in str(refusal.value)


def test_processors_share_the_memory_of_the_machine() -> None:
    said: list[str] = []
    device = torch.device("cpu")
    used = [ComputeDevice(device, f"cpu:{n}", ResidentLesions(device, said.append)) for n in range(2)]
    prepare_devices(load_plan(CONFIGS / "plan.smoke.yaml"), used, 90, said.append)
    assert [text.split()[0] for text in said] == ["cpu:0", "cpu:1"]
    assert said[0].split()[2] == said[1].split()[2]
