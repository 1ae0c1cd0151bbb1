"""What needs a graphics card: the device link on it, a real error for want of memory, and the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_lesions import lesions, recipe, task

from benchmarks import gpu
from ceus_models.protocol.messages import Architecture, LocalRule
from ceus_models.study.processing import Processing
from client.worker.tasks.devices.memory_needs import measure_lesion
from client.worker.tasks.devices.micro_batches import MicroBatches
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from client.worker.tasks.training import trainer_of
from sim.engine.open_devices import open_devices

RULE = LocalRule(batch_size=4, augment=True)


@pytest.mark.gpu
def test_a_card_trains_as_the_processor_up_to_rounding(tmp_path: Path) -> None:
    asked, found = task("train", ("disease/HCC",), recipe(), rule=RULE), []
    for name in ("cpu:0", "cuda:0"):
        (compute,) = open_devices((name,), print)
        compute.keeps_answers = True
        answer = trainer_of(asked, Place(name, SiteMemory(tmp_path), compute)).train("disease/HCC", lesions(8))
        assert answer is not None
        assert answer.sums["weighting.weight"].device.type == name.partition(":")[0]
        found.append({key: tensor.cpu() for key, tensor in answer.sums.items()})
    for key, tensor in found[0].items():
        torch.testing.assert_close(found[1][key], tensor, atol=1e-3, rtol=1e-2)


@pytest.mark.gpu
def test_a_real_error_for_want_of_memory_is_survived() -> None:
    device, said = torch.device("cuda:0"), list[str]()
    module = torch.nn.Linear(1 << 10, 1 << 10, device=device)
    limit, whole = 1 << 30, torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(limit / whole, device)
    try:
        learn = MicroBatches(
            module, lambda batch: module(torch.ones(len(batch), 1 << 14, 1 << 10, device=device)).sum((1, 2))
        )
        learn.limits.say = said.append
        assert len(learn(torch.arange(16))) == 16
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert "parts of" in said[-1]


@pytest.mark.gpu
def test_what_is_counted_from_shapes_is_what_the_card_takes() -> None:
    architecture, processing = Architecture(), Processing(frames_to_peak=16, frames_after=4)
    (compute,) = open_devices(("cuda:0",), print)
    counted = measure_lesion(architecture, processing, compute.device)
    backbone = gpu.TwoStream(architecture, 1).to(compute.device)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    backbone(torch.rand(4, 20, 1, 112, 112, device="cuda"), torch.rand(4, 10, 2, 112, 112, device="cuda"))
    assert torch.cuda.max_memory_allocated() - before == pytest.approx(counted.count(4), rel=0.3)


@pytest.mark.slow
def test_the_benchmark_of_cards_runs_on_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "table.md"
    given = ["gpu", "--device", "cpu:0", "--lesions", "8", "--repetitions", "1", "--out", str(out)]
    monkeypatch.setattr("sys.argv", given)
    gpu.main()
    lines = out.read_text(encoding="utf-8").splitlines()
    assert "no card: a trial" in lines[0]
    assert len([line for line in lines if line.startswith("|")]) == 9
