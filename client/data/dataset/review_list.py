"""Lesions that a person must look at before they are used: why, kept in the cache like a sample, and the site's list.

The list names a lesion by the row of the table and by its pseudonym, which is also the name of its quality sheet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import write_whole
from client.data.analysis.track_quality import UntrustedTrack
from client.data.forms.site_config import SiteConfig, pseudonym
from client.data.table.rows import Row

LOOK_FILE = "look.json"
_SUFFIX = ".look.json"


@dataclass(frozen=True, slots=True)
class Look:
    """A lesion whose track a person must check.

    Attributes:
        row: Row of the table.
        lesion: Pseudonym of the lesion.
        found: The reasons against the track.
        file: Name of its file in the cache.
    """

    row: int
    lesion: str
    found: str
    file: str


def look_of(row: Row, site: SiteConfig, digest: str, error: UntrustedTrack) -> Look:
    """digest: of all that the lesion depends on."""
    return Look(row.line, pseudonym(site, "lesion", row.lesion_id), error.value, f"{digest}{_SUFFIX}")


def write_look(cache: Path, look: Look) -> None:
    """Keeps the finding, so that the next run does not track the lesion again."""
    write_whole(cache / look.file, json.dumps({"lesion": look.lesion, "found": look.found}).encode())


def read_look(cache: Path, digest: str, line: int) -> Look | None:
    """The finding on a lesion, None where there is none or it cannot be read."""
    path = cache / f"{digest}{_SUFFIX}"
    try:
        document = json.loads(path.read_bytes())
        return Look(line, str(document["lesion"]), str(document["found"]), path.name)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_looks(site: SiteConfig, looks: Sequence[Look]) -> None:
    """The site's list, `look.json` in its work folder."""
    write_whole(site.work / LOOK_FILE, json.dumps([as_json(look) for look in looks], indent=1).encode())


def as_json(look: Look) -> dict[str, str | int]:
    """The lesion as a JSON object, without the name of our file."""
    return {name: value for name, value in asdict(look).items() if name != "file"}
