"""A simulation computes with the same instructions on every processor, so a seed gives the same numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from sim.runs import instruction_set
from sim.runs.instruction_set import PINS, is_pinned, processor, unset_pins

ROOT = Path(__file__).parents[3]
LIBRARIES = {"torch": "2.14.1", "numpy": "2.4.6", "opencv-python-headless": "5.0.0.93"}
DIGESTS = {
    "convolutions": "a488a6ada399",
    "products": "b6bc29a31060",
    "memories": "00f409ff5fd9",
    "functions": "5a4e9ba03aa4",
    "lesions": "d25434fb498b",
}
"""The first four on AMD EPYC, family 25, model 17, and on an Intel Xeon, family 6, model 207 (both with AVX-512); three
also on emulated EPYC-Milan and Haswell, `memories` not. `lesions` changes with the phantom, and is of that Xeon."""

pinnable = pytest.mark.skipif(not unset_pins({}), reason="no x86-64 processor with AVX2")


def ran(code: str) -> str:
    """What a process prints that inherits no pin."""
    own = {name: value for name, value in os.environ.items() if name not in PINS}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    command = [sys.executable, "-c", code]
    environment = {**own, "PYTHONPATH": paths}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pinnable
def test_what_the_user_set_stays() -> None:
    assert unset_pins({}) == PINS
    assert unset_pins(PINS) == {}
    assert "MKL_CBWR" not in unset_pins({"MKL_CBWR": "AUTO"})
    assert is_pinned({"HOME": "/", **PINS})
    assert not is_pinned({**PINS, "MKL_CBWR": "AUTO"})


def test_a_processor_without_avx2_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "cpuinfo"
    old.write_text("model name\t: Old\ncpu family\t: 6\nmodel\t\t: 42\nflags\t\t: sse4_2 avx\n\nmodel name\t: second\n")
    monkeypatch.setattr(instruction_set, "_PROCESSOR", old)
    assert unset_pins({}) == {}
    assert processor() == "Old, family 6, model 42"
    monkeypatch.setattr(instruction_set, "_PROCESSOR", tmp_path / "absent")
    assert unset_pins({}) == {}
    assert processor()


@pinnable
def test_the_command_pins_before_anything_is_loaded() -> None:
    code = """
import sim.cli.main, torch, numpy, cv2, json
from numpy._core._multiarray_umath import __cpu_features__ as numpys
from threadpoolctl import threadpool_info
from sim.runs.run import computed_with
blas = [pool for pool in threadpool_info() if "numpy.libs" in pool["filepath"]]
print(json.dumps([computed_with(), numpys["X86_V4"], cv2.getCPUFeaturesLine(), blas[0]["architecture"]]))
"""
    found, avx512, opencv, blas = json.loads(ran(code))
    assert found["pinned"]
    assert found["torch_instructions"] == found["onednn_instructions"] == "AVX2"
    assert found["torch_threads"] == 1
    assert found["pyav"] == version("av")
    assert found["ffmpeg"].startswith("libavcodec ")
    assert found["processor"] == processor()
    assert not avx512
    assert "AVX512-SKX" not in opencv.replace("AVX512-SKX?", "")
    assert blas == "Haswell"


@pinnable
@pytest.mark.slow
@pytest.mark.skipif({name: version(name) for name in LIBRARIES} != LIBRARIES, reason=f"digests are of {LIBRARIES}")
@pytest.mark.parametrize("part", DIGESTS)
def test_every_processor_computes_the_same(part: str) -> None:
    code = f"import runpy, sys; sys.argv[1:] = [{part!r}]; runpy.run_module('pinned_numbers', run_name='__main__')"
    assert json.loads(ran(code)) == {part: DIGESTS[part]}
