"""What the last `ceus-site index` made: the settings, and the files of the cache in the order of the table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from ceus_models.failures import ExpectedError
from ceus_models.processing import Processing
from client.cache import write_atomic
from client.config import SiteConfig
from client.ledger import digest_of_file

CACHE_VERSION = 3
"""Raised whenever the same files and settings would give another sample."""
INDEX_FILE = "index.json"


@dataclass(frozen=True)
class Indexed:
    """processing: settings that the samples were made with, and their digest · files: names in the cache."""

    processing: Processing
    digest: str
    files: tuple[str, ...]


def write_index(
    site: SiteConfig, processing: Processing, table: str, lesions: Sequence[tuple[int, str]], skipped: dict[str, int]
) -> None:
    """Replace the index. table: digest of the table's bytes · lesions: row and file of each sample."""
    document = {
        "version": CACHE_VERSION,
        "processing": processing.digest(),
        "settings": dataclasses.asdict(processing),
        "table": table,
        "lesions": [{"line": line, "file": file} for line, file in lesions],
        "skipped": skipped,
    }
    write_atomic(site.work / INDEX_FILE, json.dumps(document, indent=1, sort_keys=True).encode())


def read_index(site: SiteConfig) -> Indexed:
    """The index. Raises ExpectedError where there is none, or it is of another state of the table or of fedceus."""
    try:
        document = json.loads((site.work / INDEX_FILE).read_bytes())
        version, digest, made_of = document["version"], str(document["processing"]), document["table"]
        files = tuple(str(lesion["file"]) for lesion in document["lesions"])
        processing = TypeAdapter(Processing).validate_python(document["settings"])
        table = digest_of_file(site.table)
    except FileNotFoundError:
        raise ExpectedError("samples are made by `ceus-site index` first, and no index is there") from None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        raise ExpectedError("the index of samples cannot be read; run `ceus-site index` again") from None
    for part, ours, found in (("version", CACHE_VERSION, version), ("table", table, made_of)):
        if ours != found:
            raise ExpectedError(f"the index was made with another {part}; run `ceus-site index` again")
    if processing.digest() != digest:
        raise ExpectedError("the index was made with another version of the processing; run `ceus-site index` again")
    return Indexed(processing, digest, files)
