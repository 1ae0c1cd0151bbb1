"""The site's samples: made once from the table and its files, kept by content, and mapped into memory afterwards."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from ceus_models.failures import ExpectedError
from ceus_models.processing import Processing
from ceus_models.sample import Sample
from client.cache import read_sample, write_atomic, write_sample
from client.clip import ClipError
from client.config import SiteConfig, pseudonym, screens_for
from client.faults import Fault
from client.manifest import Row, read_manifest
from client.outline import OutlineError
from client.pipeline import sample_of

CACHE_VERSION = 1
"""Raised whenever the same files and settings would give another sample."""
INDEX_FILE = "index.json"
Progress = Callable[[int, int], None]
"""Called with lesions done and lesions in all."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """read: lesions with a sample · made: of these, newly processed · skipped: lesions without one, by reason ·
    faults: why, and what else is wrong with the table · path: the summary that was written.
    """

    read: int
    made: int
    skipped: Mapping[str, int]
    faults: tuple[Fault, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of one row: a file of the cache, or a fault."""

    line: int
    file: str
    fresh: bool
    fault: Fault | None = None


def index(site: SiteConfig, processing: Processing, progress: Progress | None = None, workers: int = 1) -> IndexReport:
    """Makes the samples of all rows of the table that changed, and forgets those that the table no longer has.

    workers: processes; the result does not depend on them. A lesion that cannot be read is skipped and counted.
    Raises ExpectedError where more than site.max_skipped of the lesions had to be skipped.
    """
    cv2.setNumThreads(1)
    table = _digest_of_file(site.table) if site.table.is_file() else ""
    rows, faults = read_manifest(site)
    pseudonym(site, "lesion", "")  # makes the secret before several processes want it
    done: list[_Made] = []
    for made in _all_made(rows, site, processing, workers):
        done.append(made)
        if progress is not None:
            progress(len(done), len(rows))
    usable = [made for made in done if made.fault is None]
    faults.extend(made.fault for made in done if made.fault is not None)
    skipped = _skipped(faults, {row.line for row in rows} - {made.line for made in done if made.fault is not None})
    path = site.work / INDEX_FILE
    _check_share(sum(skipped.values()), len(usable), site, skipped)
    document = {
        "version": CACHE_VERSION,
        "processing": processing.digest(),
        "table": table,
        "lesions": [{"line": made.line, "file": made.file} for made in usable],
        "skipped": skipped,
    }
    write_atomic(path, json.dumps(document, indent=1, sort_keys=True).encode())
    _forget(site, {made.file for made in usable})
    ordered = sorted(faults, key=lambda fault: fault.row or 0)
    return IndexReport(len(usable), sum(made.fresh for made in usable), skipped, tuple(ordered), path)


def load_samples(site: SiteConfig, processing: Processing) -> list[Sample]:
    """The samples of the last `index`, in the order of the table, mapped into memory.

    Raises ExpectedError where there is none, or it belongs to other settings or to another state of the table.
    """
    path = site.work / INDEX_FILE
    try:
        document = json.loads(path.read_bytes())
        stated = (document["version"], document["processing"], document["table"])
        files = [str(lesion["file"]) for lesion in document["lesions"]]
    except FileNotFoundError:
        raise ExpectedError("samples are made by `ceus-site index` first, and no index is there") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ExpectedError("the index of samples cannot be read; run `ceus-site index` again") from None
    for part, ours, found in zip(
        ("version", "processing settings", "table"),
        (CACHE_VERSION, processing.digest(), _digest_of_file(site.table)),
        stated,
        strict=True,
    ):
        if ours != found:
            raise ExpectedError(f"the index was made with another {part}; run `ceus-site index` again")
    return [read_sample(_cache(site) / Path(file).name) for file in files]


def _all_made(rows: Sequence[Row], site: SiteConfig, processing: Processing, workers: int) -> Iterator[_Made]:
    make = partial(_make, site=site, processing=processing)
    if workers <= 1 or len(rows) <= 1:
        yield from map(make, rows)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(rows)), context, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(make, rows)


def _make(row: Row, site: SiteConfig, processing: Processing) -> _Made:
    """Makes one sample unless the cache has it. What is wrong with the files becomes a fault, never an exception."""
    try:
        path = _cache(site) / f"{content_digest(row, site, processing)}.safetensors"
        if path.is_file():
            return _Made(row.line, path.name, fresh=False)
        sample, _ = sample_of(row, site, processing)
        write_sample(sample, path)
        return _Made(row.line, path.name, fresh=True)
    except (ClipError, OutlineError) as error:
        column = "outline" if isinstance(error, OutlineError) else "clips"
        found = (error.reason, error.rule, error.value, error.remedy)
        return _Made(row.line, "", False, Fault(site.table.name, row.line, column, *found))
    except (cv2.error, OSError, MemoryError) as error:
        # A file odd enough to trip a library costs its own row; the library's text may quote the file.
        found = ("unreadable-clip", "the files of a lesion can be read", type(error).__name__, "export them again")
        return _Made(row.line, "", False, Fault(site.table.name, row.line, "clips", *found))


def content_digest(row: Row, site: SiteConfig, processing: Processing) -> str:
    """SHA-256 over all that a sample depends on: bytes of clips and outline, the row, templates, settings, secret."""
    values = {
        "version": CACHE_VERSION,
        "processing": processing.digest(),
        "key": pseudonym(site, "lesion", row.lesion_id),
        "patient": pseudonym(site, "patient", row.patient_id),
        "cohort": row.cohort,
        "label": row.label,
        "clips": [(spec.path.suffix.lower(), spec.start_s, _digest_of_file(spec.path)) for spec in row.clips],
        "rate": row.frame_rate_hz,
        "outline": (row.outline.frame, row.outline.pane, row.outline.path.suffix.lower()),
        "outlined": _digest_of_file(row.outline.path),
        "screens": [dataclasses.astuple(screen) for screen in screens_for(site, row.manufacturer)],
        "numbers": [repr(number) for number in (*row.clinical, *row.biomarkers)],
        "groups": dict(row.groups),
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache(site: SiteConfig) -> Path:
    return site.work / "cache"


def _skipped(faults: Iterable[Fault], usable: set[int]) -> dict[str, int]:
    """Lesions without a sample by the first reason of each; faults of the header or of columns skip none."""
    first: dict[int, str] = {}
    for fault in faults:
        if fault.row is not None and fault.row not in usable and fault.row > 1:
            first.setdefault(fault.row, fault.reason)
    return dict(Counter(first.values()).most_common())


def _check_share(skipped: int, usable: int, site: SiteConfig, reasons: Mapping[str, int]) -> None:
    total = skipped + usable
    if skipped <= site.max_skipped * total:
        return
    (site.work / INDEX_FILE).unlink(missing_ok=True)  # an older index would hide what is wrong
    counted = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    raise ExpectedError(
        f"at most {site.max_skipped:.0%} of the lesions may be skipped (max_skipped in site.yaml), found {skipped} of "
        f"{total}: {counted}; run `ceus-site check` to see each, with its remedy"
    )


def _forget(site: SiteConfig, current: set[str]) -> None:
    """Removes crops of lesions that are no longer in the table, as when a patient withdraws."""
    for path in _cache(site).glob("*.safetensors"):
        if path.name not in current:
            path.unlink(missing_ok=True)
