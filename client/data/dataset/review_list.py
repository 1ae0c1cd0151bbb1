"""Lesions that a person must look at before they are used: why, kept in the cache like a sample, and the site's list.

The list names a lesion by the row of the table and by its pseudonym, which is also the name of its quality sheet.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import write_atomically
from client.data.analysis.track_quality import UntrustedTrack
from client.data.dataset.cache import cache_folder
from client.data.forms.site_config import SiteConfig, make_pseudonym
from client.data.table.rows import Row
from client.faults.fault import DoubtedClip

LOOK_FILE = "look.json"
_SUFFIX = ".look.json"


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A lesion whose track or clips a person must check.

    Attributes:
        row: Row of the table.
        lesion: Pseudonym of the lesion.
        found: The reasons against the track or the clips.
        file: Name of its file in the cache.
        column: The column in which the person then writes yes.
    """

    row: int
    lesion: str
    found: str
    file: str
    column: str = "track_checked"


def make_review_item(row: Row, site: SiteConfig, digest: str, error: UntrustedTrack | DoubtedClip) -> ReviewItem:
    """digest: of all that the lesion depends on."""
    column = "clip_checked" if isinstance(error, DoubtedClip) else "track_checked"
    lesion = make_pseudonym(site, "lesion", row.lesion_id)
    return ReviewItem(row.line, lesion, error.value, f"{digest}{_SUFFIX}", column)


def write_review_item(cache: Path, look: ReviewItem) -> None:
    """Keeps the finding, so that the next run does not track the lesion again."""
    content = {"lesion": look.lesion, "found": look.found, "column": look.column}
    write_atomically(cache / look.file, json.dumps(content).encode())


def read_review_item(cache: Path, digest: str, line: int) -> ReviewItem | None:
    """The finding on a lesion, None where there is none or it cannot be read."""
    path = cache / f"{digest}{_SUFFIX}"
    try:
        document = json.loads(path.read_bytes())
        lesion, found, column = (str(document[name]) for name in ("lesion", "found", "column"))
        return ReviewItem(line, lesion, found, path.name, column)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_review_list(site: SiteConfig, looks: Sequence[ReviewItem]) -> None:
    """The site's list, `look.json` in its work folder."""
    write_atomically(site.work / LOOK_FILE, json.dumps([as_json(look) for look in looks], indent=1).encode())


def drop_review_items(site: SiteConfig, lesions: Collection[str]) -> list[str]:
    """Take lesions off the site's list, and name the files of the cache with their findings. Raises OSError."""
    path = site.work / LOOK_FILE
    try:
        listed = [one for one in json.loads(path.read_bytes()) if isinstance(one, dict)]
    except (OSError, ValueError, TypeError):
        listed = []
    kept = [one for one in listed if one.get("lesion") not in lesions]
    if len(kept) < len(listed):
        write_atomically(path, json.dumps(kept, indent=1).encode())
    cache = cache_folder(site)
    found = (read_review_item(cache, file.name.removesuffix(_SUFFIX), 0) for file in cache.glob(f"*{_SUFFIX}"))
    return [look.file for look in found if look and look.lesion in lesions]


def as_json(look: ReviewItem) -> dict[str, str | int]:
    """The lesion as a JSON object, without the name of our file."""
    return {name: value for name, value in asdict(look).items() if name != "file"}
