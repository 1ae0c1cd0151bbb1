"""Digests of files that were read before, so that a second `index` does not read them again.

A file is the same as long as its place, size, times and inode are (git's index goes by these, too). The ledger knows a
file by a keyed hash of them, so it tells no path and no date. In doubt the file is read: a file that changed within
the last seconds is not written down, since it could change once more under the same times.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path

from ceus_models.runtime.atomic_files import write_atomically
from client.data.forms.site_config import SiteConfig, read_secret

LEDGER_FILE = "ledger.json"
_VERSION = 1
_SETTLED_S = 3.0
"""Coarser than the time stamps of any file system (FAT: 2 s)."""


class UnknownDigestError(LookupError):
    """A file that the ledger does not know."""


class DigestCache:
    """A cache of file digests, keyed by path, size and modification time.

    Attributes:
        known: Digests of an earlier run.
        seen: Digests of this run, by the stamp of the file.
    """

    def __init__(self, site: SiteConfig, known: Mapping[str, str] | None = None) -> None:
        """Without `lookup` every file is read."""
        self._key = read_secret(site)
        self._known = known or {}
        self.seen: dict[str, str] = {}

    @classmethod
    def load(cls, site: SiteConfig) -> DigestCache:
        """The site's ledger; an empty one where it is missing or damaged, since it only spares time."""
        try:
            document = json.loads((site.work / LEDGER_FILE).read_bytes())
            known = {str(k): str(v) for k, v in document["files"].items()} if document["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            known = {}
        return cls(site, known)

    def save(self, site: SiteConfig) -> None:
        """Keeps what was seen, and forgets what was not."""
        document = {"version": _VERSION, "files": self.seen}
        write_atomically(site.work / LEDGER_FILE, json.dumps(document, sort_keys=True).encode())

    def lookup(self, path: Path) -> str:
        """The digest of a file without reading it. Raises UnknownDigestError."""
        stamp, _ = self._stamp(path)
        if stamp not in self._known:
            raise UnknownDigestError
        self.seen[stamp] = self._known[stamp]
        return self._known[stamp]

    def read(self, path: Path) -> str:
        """The digest of a file that is read now. Raises OSError."""
        begun = time.time()
        stamp, changed = self._stamp(path)
        found = compute_file_digest(path)
        if begun - changed > _SETTLED_S and self._stamp(path)[0] == stamp:
            self.seen[stamp] = found
        return found

    def _stamp(self, path: Path) -> tuple[str, float]:
        """What a file is known by, and when it was last changed (s)."""
        state = path.stat()
        told = (str(path), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        stamp = hmac.new(self._key, f"fedceus/file/{told!r}".encode(), hashlib.sha256)
        return stamp.hexdigest(), max(state.st_mtime, state.st_ctime)


def compute_file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
