"""What a policy gives of the machine, applied to real processes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
import torch

from ceus_models.runtime.errors import ExpectedError
from client.policy.machine import Machine, read_memory_bytes
from client.worker.tasks.device import bound, device_of

BOUNDED = """
import resource, torch
from client.worker.tasks.device import bound
from client.policy.machine import Machine, read_memory_bytes
bound(Machine(threads=2, memory_share=0.25))
print(torch.get_num_threads(), resource.getrlimit(resource.RLIMIT_DATA)[0] / read_memory_bytes())
try:
    torch.zeros(read_memory_bytes() // 4, dtype=torch.uint8)
    print("allocated")
except RuntimeError as error:
    print("refused", "can't allocate memory" in str(error))
bound(Machine(memory_share=0.5))
print(resource.getrlimit(resource.RLIMIT_DATA)[0] / read_memory_bytes())
bound(Machine())
print(resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.getrlimit(resource.RLIMIT_DATA)[1])
"""


def test_threads_and_memory_are_bound_and_a_change_of_policy_binds_anew() -> None:
    told = subprocess.run([sys.executable, "-c", BOUNDED], capture_output=True, text=True, timeout=60, check=True)
    threads, refused, half, free = told.stdout.splitlines()
    assert threads.split()[0] == "2"
    assert float(threads.split()[1]) == pytest.approx(0.25, abs=1e-6)
    assert refused == "refused True"
    assert float(half) == pytest.approx(0.5, abs=1e-6)
    assert free == "True"


def test_no_bound_is_the_machines_own() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    bound(Machine(threads=1))
    assert resource.getrlimit(resource.RLIMIT_DATA)[1] == before[1]
    assert 1 << 28 < read_memory_bytes() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_cards_that_are_not_there_are_an_error_and_none_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert device_of(Machine()) == torch.device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "", "a card that the policy does not list is not seen"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert device_of(Machine(gpus=(2,))) == torch.device("cuda:0")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    with pytest.raises(ExpectedError, match=r"machine\.gpus"):
        device_of(Machine(gpus=(0, 1)))


@pytest.mark.gpu
def test_the_share_of_a_cards_memory_holds() -> None:
    device = device_of(Machine(gpus=(0,)))
    bound(Machine(gpus=(0,), memory_share=0.1), device)
    most = torch.cuda.get_device_properties(device).total_memory
    with pytest.raises(torch.OutOfMemoryError):
        torch.zeros(int(0.2 * most), dtype=torch.uint8, device=device)
