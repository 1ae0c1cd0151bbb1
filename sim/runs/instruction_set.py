"""The instructions that numerical libraries may use, the same on every x86-64 processor with AVX2.

A library that finds wider vectors adds in another order, and the last bits of sums differ. The libraries read these
variables as they are loaded, so they are set before that; processes that are started afterwards inherit them.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

PINS: Mapping[str, str] = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions and LSTM
    "MKL_CBWR": "COMPATIBLE",  # matrix products of torch; without it Intel's and AMD's processors differ
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products of numpy
    "OPENCV_CPU_DISABLE": "AVX512-SKX",
    "OMP_NUM_THREADS": "1",  # OpenBLAS cuts a product by the number of threads
}
"""Variable and value, as torch 2.14, numpy 2.4 and OpenCV 5.0 read them (docs/decisions.md)."""

_PROCESSOR = Path("/proc/cpuinfo")


def unset_pins(environment: Mapping[str, str]) -> dict[str, str]:
    """What of PINS is not set yet, since the user's own values stay; nothing on a processor without AVX2."""
    if not _has_avx2():
        return {}
    return {name: value for name, value in PINS.items() if name not in environment}


def is_pinned(environment: Mapping[str, str]) -> bool:
    """Whether every variable of PINS has its value."""
    return PINS.items() <= environment.items()


def processor() -> str:
    """Name, family and model of this machine's processor; two of one name can differ in the instructions they have."""
    facts = _facts()
    name = facts.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{word} {facts[key]}" for key, word in (("cpu family", "family"), ("model", "model")) if key in facts]
    return ", ".join([name, *numbers])


def _has_avx2() -> bool:
    return platform.machine() in ("x86_64", "AMD64") and "avx2" in _facts().get("flags", "").split()


def _facts() -> dict[str, str]:
    """What Linux says of the first processor; empty on another system."""
    try:
        first, _, _ = _PROCESSOR.read_text(encoding="utf-8").partition("\n\n")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
