"""Files of the site's own folder: each appears whole or not at all, and only this user can read it.

The cache has one safetensors file a lesion, named by the digest of all that it depends on
(client/data/dataset/samples.py maps it).
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from client.data.forms.site_config import SiteConfig

ARRAYS = ("frames", "flow", "curve", "clinical", "biomarkers")
SAMPLE_SUFFIX = ".safetensors"
DRAFT = ".part-"
"""Begins the names of unfinished files, which the next `index` sweeps."""
_LOCK_FILE = "index.lock"


def cache_of(site: SiteConfig) -> Path:
    """The folder of the samples."""
    return site.work / "cache"


def sheets_of(site: SiteConfig) -> Path:
    """The folder of the quality sheets, each named by a lesion's pseudonym, and of the contact sheets."""
    return site.work / "sheets"


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
    arrays = {name: np.ascontiguousarray(getattr(sample, name)) for name in ARRAYS}
    write_atomic(path, save(arrays, metadata={"sample": json.dumps(facts, sort_keys=True)}))


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file that only this user can read; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=DRAFT)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


@contextmanager
def alone(site: SiteConfig) -> Iterator[None]:
    """The only process that writes samples of a site; drafts that a killed one left are swept.

    The lock ends with its process, however it ends. Raises ExpectedError where another process has it.
    """
    cache_of(site).mkdir(parents=True, exist_ok=True)
    with (site.work / _LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ExpectedError("another `ceus-site index` is at work in this folder; wait, or stop it") from None
        for folder in (site.work, cache_of(site), sheets_of(site)):
            for draft in folder.glob(f"{DRAFT}*"):
                draft.unlink(missing_ok=True)
        yield
