"""What the last `ceus-site index` made: the settings, and the files of the cache in the order of the table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.review_list import LOOK_FILE
from client.data.forms.site_config import SiteConfig

CACHE_VERSION = 5
"""Raised whenever the same files and settings would give another sample."""
INDEX_FILE = "index.json"


@dataclass(frozen=True)
class IndexFile:
    """The content of the index file.

    Attributes:
        processing: Settings that the samples were made with, and their digest.
        files: Names of the sample files in the cache.
    """

    processing: Processing
    digest: str
    files: tuple[str, ...]


def write_index(
    site: SiteConfig, processing: Processing, table: str, lesions: Sequence[tuple[int, str]], skipped: dict[str, int]
) -> None:
    """Replace the index.

    Args:
        table: Digest of the table's bytes.
        lesions: Row and file of each sample.
    """
    document = {
        "version": CACHE_VERSION,
        "processing": processing.digest(),
        "settings": dataclasses.asdict(processing),
        "table": table,
        "lesions": [{"line": line, "file": file} for line, file in lesions],
        "skipped": skipped,
    }
    write_atomically(site.work / INDEX_FILE, json.dumps(document, indent=1, sort_keys=True).encode())


def list_index_files(site: SiteConfig) -> list[str]:
    """Names of the samples that the index has, whatever state of the table it is of; none where it cannot be read."""
    try:
        document = json.loads((site.work / INDEX_FILE).read_bytes())
        return [str(lesion["file"]) for lesion in document["lesions"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def drop_from_index(site: SiteConfig, names: Collection[str]) -> None:
    """Take samples that it has out of the index. Raises OSError where it cannot be written."""
    if set(names) & set(list_index_files(site)):
        document = json.loads((site.work / INDEX_FILE).read_bytes())
        document["lesions"] = [lesion for lesion in document["lesions"] if lesion["file"] not in names]
        write_atomically(site.work / INDEX_FILE, json.dumps(document, indent=1, sort_keys=True).encode())


@dataclass(frozen=True)
class IndexCounts:
    """The index for a person.

    Attributes:
        made: Time of the index, seconds since 1970.
        lesions: Number of lesions with a sample.
        skipped: Number of skipped lesions by reason.
        look: Number of lesions that a person must check.
        stale: Why the index must be built again, "" where it is current.
    """

    made: float
    processing: str
    lesions: int
    skipped: Mapping[str, int]
    look: int
    stale: str


def read_index_counts(site: SiteConfig) -> IndexCounts:
    """Counts alone. Raises ExpectedError where there is no index that can be read."""
    try:
        stale = ""
        read_index(site)
    except ExpectedError as error:
        stale = str(error)
    try:
        document = json.loads((site.work / INDEX_FILE).read_bytes())
        look = json.loads((site.work / LOOK_FILE).read_bytes()) if (site.work / LOOK_FILE).exists() else []
        made, lesions = (site.work / INDEX_FILE).stat().st_mtime, len(document["lesions"])
        skipped = {str(reason): int(count) for reason, count in document["skipped"].items()}
        return IndexCounts(made, str(document["processing"]), lesions, skipped, len(look), stale)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ExpectedError(stale or "the index cannot be read; run `ceus-site index` again") from None


def read_index(site: SiteConfig) -> IndexFile:
    """The index. Raises ExpectedError where there is none, or it is of another state of the table or of fedceus."""
    try:
        document = json.loads((site.work / INDEX_FILE).read_bytes())
        version, digest, made_of = document["version"], str(document["processing"]), document["table"]
        files = tuple(str(lesion["file"]) for lesion in document["lesions"])
        processing = TypeAdapter(Processing).validate_python(document["settings"])
        table = compute_file_digest(site.table)
    except FileNotFoundError:
        raise ExpectedError("samples need an index; found no index; run `ceus-site index` first") from None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        raise ExpectedError("the index of samples cannot be read; run `ceus-site index` again") from None
    for part, ours, found in (("version", CACHE_VERSION, version), ("table", table, made_of)):
        if ours != found:
            raise ExpectedError(f"the index was made with another {part}; run `ceus-site index` again")
    if processing.digest() != digest:
        raise ExpectedError("the index was made with another version of the processing; run `ceus-site index` again")
    return IndexFile(processing, digest, files)
