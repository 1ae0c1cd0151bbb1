"""No net that an Architecture can name makes oneDNN write where it must not (docs/decisions.md)."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ceus_models.nets.two_stream import DEPTHS, NORMS

TESTS = Path(__file__).parents[2] / "support"
CHECKER = "libc_malloc_debug.so.0"
CHECKING = {"LD_PRELOAD": CHECKER, "GLIBC_TUNABLES": "glibc.malloc.check=3", "MALLOC_PERTURB_": "165"}
ISAS = ("AVX2", "DEFAULT")


@pytest.fixture(scope="module")
def checking() -> dict[str, str]:
    try:
        ctypes.CDLL(CHECKER)
    except OSError:
        pytest.skip(f"{CHECKER}, glibc's checker of memory, is not on this machine")
    return {**os.environ, **CHECKING, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}


def run(environment: dict[str, str], isa: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "faulthandler", *arguments]
    environment = {**environment, "ONEDNN_MAX_CPU_ISA": isa}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def counted(environment: dict[str, str], isa: str, *arguments: str) -> list[int]:
    """Convolutions and nets that were clean."""
    done = run(environment, isa, str(TESTS / "every_convolution.py"), *arguments)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-3000:]}"
    return [int(number) for number in done.stdout.split()[-2:]]


def test_the_checker_sees_a_byte_too_many(checking: dict[str, str]) -> None:
    """Else the tests below would prove nothing."""
    code = "import ctypes, torch; t = torch.empty(24, dtype=torch.uint8); ctypes.memset(t.data_ptr(), 1, {}); del t"
    assert run(checking, "DEFAULT", "-c", code.format(24)).returncode == 0
    spoilt = run(checking, "DEFAULT", "-c", code.format(25))
    assert spoilt.returncode == -6
    assert "invalid" in spoilt.stderr


@pytest.mark.parametrize("isa", ISAS)
def test_nets_of_the_tests_and_the_demo_are_clean(checking: dict[str, str], isa: str) -> None:
    convolutions, nets = counted(checking, isa, "8", "32", "1,5")
    assert convolutions > 50
    assert nets == len(DEPTHS) * len(NORMS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("width", range(8, 65, 8))
def test_every_convolution_is_clean(checking: dict[str, str], width: int, isa: str) -> None:
    convolutions, nets = counted(checking, isa, str(width), "16,32,33,50,112", "1,3,12,35")
    assert convolutions > 300
    assert nets == 3 * len(DEPTHS) * len(NORMS)


@pytest.mark.slow
@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="an AVX2 kernel is faulty"
)
def test_four_channels_are_still_not_clean(checking: dict[str, str]) -> None:
    """When this fails, torch has mended it: WIDTH_STEP of `ceus_models.protocol.messages` may go."""
    code = "import every_convolution as e, torch; e.check(e.Convolution(4, 8, 1, 2, 0, 8, 8), 12, torch.float32)"
    assert run(checking, "AVX2", "-c", code).returncode < 0
