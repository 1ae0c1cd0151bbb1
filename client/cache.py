"""One lesion's sample as one safetensors file: written whole or not at all, read by mapping it into memory."""

from __future__ import annotations

import json
import math
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from ceus_models.failures import ExpectedError
from ceus_models.sample import Sample

_ARRAYS = {
    "frames": ("U8", np.uint8, 3),
    "flow": ("I8", np.int8, 4),
    "curve": ("F32", np.float32, 1),
    "clinical": ("F32", np.float32, 1),
    "biomarkers": ("F32", np.float32, 1),
}
"""Name → safetensors type, NumPy type, number of dimensions."""
_LARGEST_HEADER = 1 << 20


def write_sample(sample: Sample, path: Path) -> None:
    """Writes a sample. The file holds pseudonyms, crops and table values: it stays at the site."""
    facts = {
        "key": sample.key,
        "patient": sample.patient,
        "cohort": sample.cohort,
        "flow_scale": sample.flow_scale,
        "label": sample.label,
        "groups": dict(sample.groups),
        "quality": dict(sample.quality),
    }
    arrays = {name: np.ascontiguousarray(getattr(sample, name)) for name in _ARRAYS}
    write_atomic(path, save(arrays, metadata={"sample": json.dumps(facts, sort_keys=True)}))


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file that only this user can read; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def read_sample(path: Path) -> Sample:
    """Maps a sample into memory; pages are read when they are used, and changes to arrays stay private.

    Raises ExpectedError for a file that is missing or not whole.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        size = int.from_bytes(content[:8], "little")
        if not 0 < size <= min(_LARGEST_HEADER, len(content) - 8):
            raise ValueError("header")
        header: dict[str, Any] = json.loads(content[8 : 8 + size])
        arrays: dict[str, Any] = {name: _array(content, header[name], name, 8 + size) for name in _ARRAYS}
        facts: dict[str, Any] = json.loads(header["__metadata__"]["sample"])
        return Sample(**arrays, **facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExpectedError(
            f"a file of the cache cannot be used ({path.name[:12]}…, {type(error).__name__}); run ceus-site index"
        ) from None


def _array(content: mmap.mmap, entry: dict[str, Any], name: str, start: int) -> npt.NDArray[Any]:
    code, kind, dimensions = _ARRAYS[name]
    shape, (first, after) = tuple(entry["shape"]), entry["data_offsets"]
    count = math.prod(shape)
    size = count * np.dtype(kind).itemsize
    if entry["dtype"] != code or len(shape) != dimensions or after - first != size or not 0 <= first <= after:
        raise ValueError(name)
    return np.frombuffer(content, dtype=kind, count=count, offset=start + first).reshape(shape)
