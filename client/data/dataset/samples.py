"""The samples of the last `ceus-site index`, mapped into memory: pages are read when they are used."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from ceus_models.study.sample import Reading, Sample
from client.data.dataset.cache import DOUBTS, cache_folder
from client.data.dataset.index_file import IndexFile, read_index
from client.data.forms.site_config import SiteConfig, make_pseudonym
from client.data.forms.withdrawals import read_withdrawals
from client.data.table.manifest import read_manifest
from client.data.table.reads import read_reads

_ARRAYS = {
    "frames": ("U8", np.uint8, 3),
    "flow": ("I8", np.int8, 4),
    "curve": ("F32", np.float32, 1),
    "clinical": ("F32", np.float32, 1),
    "biomarkers": ("F32", np.float32, 1),
}
"""Name → safetensors type, NumPy type, number of dimensions."""
_LARGEST_HEADER = 1 << 20


def load_samples(site: SiteConfig, processing: Processing) -> list[Sample]:
    """The samples of the last `index`, in the order of the table, with the diagnoses of `reads.csv` as it is now.

    Raises ExpectedError where there is none, or it belongs to other settings or to another state of the table.
    """
    indexed = read_index(site)
    if indexed.digest != processing.digest():
        raise ExpectedError("the index was made with other processing settings; run `ceus-site index` again")
    return list(read_indexed_samples(site, indexed).values())


def read_indexed_samples(
    site: SiteConfig, indexed: IndexFile, known: Mapping[str, Sample] | None = None
) -> dict[str, Sample]:
    """The samples of an index by the names of their files, without patients who withdrew.

    Args:
        known: samples that are open already; what did not change stays the same object.

    Raises:
        ExpectedError: a file cannot be used, or the list of withdrawals cannot be read.
    """
    readings, gone = _group_reads(site), read_withdrawals(site.records)
    found: dict[str, Sample] = {}
    for name in indexed.files:
        sample = (known or {}).get(name) or read_sample(cache_folder(site) / Path(name).name)
        if sample.patient in gone:
            continue
        said = readings.get(sample.key, ())
        found[name] = sample if sample.readings == said else dataclasses.replace(sample, readings=said)
    return found


def _group_reads(site: SiteConfig) -> dict[str, tuple[Reading, ...]]:
    """The usable diagnoses by the lesion's pseudonym; `ceus-site check` tells what is wrong with the others."""
    if not site.reads.exists():
        return {}
    ids = {entry.lesion_id for entry in read_manifest(site).entries if entry.lesion_id}
    found: dict[str, list[Reading]] = {}
    for read in read_reads(site, ids)[0]:
        key = make_pseudonym(site, "lesion", read.lesion_id)
        about = (read.reader, read.role, read.assisted, read.diagnosis)
        found.setdefault(key, []).append(Reading(*about, read.confidence, read.seconds))
    return {key: tuple(readings) for key, readings in found.items()}


def read_sample(path: Path) -> Sample:
    """Maps a sample; changes to its arrays stay private.

    By torch, since a mapping of Python keeps its file open, and two thousand lesions exceed what a process may open.
    Raises ExpectedError for a file that is missing or not whole.
    """
    try:
        whole = path.stat().st_size
        content: npt.NDArray[np.uint8] = torch.from_file(str(path), False, whole, dtype=torch.uint8).numpy()
        size = int.from_bytes(content[:8].tobytes(), "little")
        if not 0 < size <= min(_LARGEST_HEADER, len(content) - 8):
            raise ValueError("header")
        header: dict[str, Any] = json.loads(content[8 : 8 + size].tobytes())
        arrays: dict[str, Any] = {name: _map_array(content[8 + size :], header[name], name) for name in _ARRAYS}
        facts: dict[str, Any] = json.loads(header["__metadata__"]["sample"])
        facts.pop(DOUBTS, None)
        return Sample(**arrays, **facts)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ExpectedError(
            f"a file of the cache cannot be used ({path.name[:12]}…, {type(error).__name__}); run ceus-site index"
        ) from None


def _map_array(content: npt.NDArray[np.uint8], entry: dict[str, Any], name: str) -> npt.NDArray[Any]:
    code, kind, dimensions = _ARRAYS[name]
    shape, (first, after) = tuple(entry["shape"]), entry["data_offsets"]
    size = math.prod(shape) * np.dtype(kind).itemsize
    if entry["dtype"] != code or len(shape) != dimensions or after - first != size or not 0 <= first <= after:
        raise ValueError(name)
    return content[first:after].view(kind).reshape(shape)
