"""Files of the site's own folder: each appears whole or not at all, and only this user can read it.

The cache has one safetensors file a lesion, named by the digest of all that it depends on
(client/data/dataset/samples.py maps it).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ceus_models.runtime.atomic_files import remove_drafts, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.study.sample import Sample
from client.data.forms.site_config import SiteConfig, open_work
from client.data.imaging.likeness import I8
from client.faults.fault import Doubt

ARRAYS = ("frames", "flow", "curve", "clinical", "biomarkers")
SAMPLE_SUFFIX = ".safetensors"
_LIKENESS = "likeness"
DOUBTS = "doubts"
_LOCK_FILE = "index.lock"


def cache_folder(site: SiteConfig) -> Path:
    """The folder of the samples."""
    return site.work / "cache"


def sheets_folder(site: SiteConfig) -> Path:
    """The folder of the quality sheets, each named by a lesion's pseudonym, and of the contact sheets."""
    return site.work / "sheets"


def _unusable_error(path: Path) -> ExpectedError:
    return ExpectedError(f"a file of the cache cannot be used ({path.name[:12]}…); run ceus-site index")


def read_owner(path: Path) -> tuple[str, str]:
    """The pseudonyms of a sample's lesion and patient, without its pictures. Raises ExpectedError."""
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads(file.metadata()["sample"])
        return str(facts["key"]), str(facts["patient"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        raise _unusable_error(path) from None


@dataclass(frozen=True, eq=False)
class ClipMarks:
    """What a sample's file keeps of its clips.

    Attributes:
        likeness: Digests of the clips i8 (n 2 h w), see `likeness`.
        doubts: Doubts that are shown and withhold nothing.
    """

    likeness: tuple[I8, ...] = ()
    doubts: tuple[Doubt, ...] = ()


def read_marks(path: Path) -> ClipMarks:
    """The marks of a sample that was written with some, else none. Raises ExpectedError as `read_owner`."""
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads(file.metadata()["sample"])
            doubts = tuple(Doubt(**doubt) for doubt in facts.get(DOUBTS, ()))
            kept = file.get_tensor(_LIKENESS) if _LIKENESS in file.keys() else ()  # noqa: SIM118 (no mapping)
        return ClipMarks(tuple(kept), doubts)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        raise _unusable_error(path) from None


def write_sample(sample: Sample, path: Path, marks: ClipMarks | None = None) -> None:
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
    arrays = {name: np.ascontiguousarray(getattr(sample, name)) for name in ARRAYS}
    if marks is not None:
        arrays[_LIKENESS] = np.ascontiguousarray(marks.likeness)
        facts[DOUBTS] = [asdict(doubt) for doubt in marks.doubts]
    # under one name: safetensors writes several in any order
    write_atomically(path, save(arrays, metadata={"sample": json.dumps(facts, sort_keys=True)}))


@contextmanager
def lock_cache(site: SiteConfig) -> Iterator[None]:
    """The only process that writes samples of a site; drafts that a killed one left are swept.

    The lock ends with its process, however it ends. Raises ExpectedError where another process has it, or where the
    folder cannot be written.
    """
    open_work(site)
    cache_folder(site).mkdir(mode=0o700, exist_ok=True)
    busy = ExpectedError("another `ceus-site index` is at work in this folder; wait, or stop it")
    with hold_lock(site.work / _LOCK_FILE, busy):
        for folder in (site.work, cache_folder(site), sheets_folder(site)):
            remove_drafts(folder)
        yield
