"""A step that does not fit the memory is the same step in parts, up to rounding; what was learnt is said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy_lesions import lesions, recipe, task

from ceus_models.protocol.messages import Architecture, LocalRule
from ceus_models.study.sample import Sample
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.devices.micro_batches import BatchLimit, BatchLimits
from client.worker.tasks.devices.resident_lesions import ResidentLesions
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from client.worker.tasks.training import TrainingResult, trainer_of

CPU = torch.device("cpu")
RULE = LocalRule(batch_size=7, learning_rate=0.05, epochs=2, augment=True, proximal_mu=0.1)


class Small(ResidentLesions):
    """A device that has memory for so many lesions."""

    def __init__(self, most: int) -> None:
        super().__init__(CPU, print)
        self.most = most

    def stack(self, samples: Sequence[Sample], device: torch.device) -> tuple[Tensor, Tensor]:
        if len(samples) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().stack(samples, device)


def trained(folder: Path, compute: ComputeDevice, norm: str = "group", net: str = "disease/HCC") -> TrainingResult:
    asked = task("train", (net,), recipe(Architecture(10, 10, 8, 4, norm)), rule=RULE)
    answer = trainer_of(asked, Place("a", SiteMemory(folder), compute)).train(net, lesions(14))
    assert answer is not None
    return answer


@pytest.mark.parametrize("most", [4, 2, 1])
def test_a_step_in_parts_is_the_step_up_to_rounding(most: int, tmp_path: Path) -> None:
    said: list[str] = []
    small = ComputeDevice(lesions=Small(most), limits=BatchLimits(said.append))
    whole, parts = trained(tmp_path, ComputeDevice()), trained(tmp_path, small)
    assert any(not torch.equal(whole.sums[name], parts.sums[name]) for name in whole.sums), "it was tried in parts"
    for name, tensor in whole.sums.items():
        torch.testing.assert_close(parts.sums[name], tensor, atol=2e-5, rtol=1e-4)
    assert small.limits.named["disease"].lesions == {4: 4, 2: 2, 1: 1}[most]
    assert all(text.startswith("disease: a training step does not fit") for text in said)
    told = len(said)
    trained(tmp_path, small, net="disease/ICC")
    assert len(said) == told, "said once for a net's shape"


def test_resident_images_give_the_same_bits_as_images_brought_anew(tmp_path: Path) -> None:
    whole = trained(tmp_path, ComputeDevice())
    resident = trained(tmp_path, ComputeDevice(lesions=ResidentLesions(CPU, print), keeps_answers=True))
    assert all(torch.equal(whole.sums[name], resident.sums[name]) for name in whole.sums)


def test_where_one_lesion_does_not_fit_activations_are_computed_again_and_then_it_is_an_error(tmp_path: Path) -> None:
    said: list[str] = []
    none = ComputeDevice(lesions=Small(0), limits=BatchLimits(said.append))
    with pytest.raises(torch.OutOfMemoryError, match="use a card with more"):
        trained(tmp_path, none)
    assert none.limits.named["disease"] == BatchLimit(1, recomputed=True)
    assert "computed again" in said[-1]


def test_recomputed_activations_and_parts_known_before_give_the_same_step(tmp_path: Path) -> None:
    known = ComputeDevice(limits=BatchLimits(print, {"disease": BatchLimit(3, recomputed=True)}))
    whole, parts = trained(tmp_path, ComputeDevice()), trained(tmp_path, known)
    for name, tensor in whole.sums.items():
        torch.testing.assert_close(parts.sums[name], tensor, atol=2e-5, rtol=1e-4)
    again = trained(tmp_path, ComputeDevice())
    assert all(torch.equal(whole.sums[name], again.sums[name]) for name in whole.sums), "and leave nothing behind"


def test_batch_norm_says_that_its_statistics_are_those_of_the_parts(tmp_path: Path) -> None:
    said: list[str] = []
    small = ComputeDevice(lesions=Small(4), limits=BatchLimits(said.append))
    trained(tmp_path, small, "batch_local")
    assert "norm batch_local" in said[0]
    none = replace(small, lesions=Small(0))
    with pytest.raises(torch.OutOfMemoryError):
        trained(tmp_path, none, "batch_local")
    assert not any("computed again" in text for text in said), "BatchNorm would count each batch twice"


def test_draws_in_parts_are_the_draws_of_the_whole() -> None:
    one, other = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    whole = torch.rand(11, 6, generator=one)
    parts = torch.cat([torch.rand(n, 6, generator=other) for n in (4, 4, 3)])
    assert torch.equal(whole, parts)
