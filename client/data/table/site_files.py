"""The files below a site's folder, by name: to say which one a wrong path probably means."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_MAX_LISTED = 50_000


@dataclass(frozen=True)
class SiteFiles:
    """folder: absolute. Its files are listed once, when the first wrong path is met."""

    folder: Path

    def has_file(self, posix: str) -> bool:
        """Whether a path below the folder is a file."""
        try:
            return (self.folder / posix).is_file()
        except (OSError, ValueError):
            return False

    def has_folder(self, posix: str) -> bool:
        """Whether a path below the folder is a folder."""
        try:
            return (self.folder / posix).is_dir()
        except (OSError, ValueError):
            return False

    def find_only_file(self, posix: str) -> str | None:
        """The path of the one file in a folder; None where it has several, or none."""
        try:
            found = list(itertools.islice((self.folder / posix).iterdir(), 2))
        except OSError:
            return None
        path = found[0].relative_to(self.folder).as_posix() if len(found) == 1 else ""
        return path if path and self.has_file(path) else None

    def find_path_end(self, posix: str) -> str | None:
        """The longest end of a path that leads elsewhere which is a file below the folder; None where none is."""
        parts = [part for part in posix.split("/") if part not in ("", ".", "..")]
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((end for end in ends if self.has_file(end)), None)

    def find_nearest(self, posix: str) -> str | None:
        """The one file whose path differs in letters' case only, or else whose name does; None where none is."""
        wanted = posix.casefold()
        same_name = self._by_name.get(wanted.rsplit("/", 1)[-1], [])
        candidates = [found for found in same_name if found.casefold() == wanted] or same_name
        return candidates[0] if len(candidates) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for path in itertools.islice(self.folder.rglob("*"), _MAX_LISTED):
            posix = path.relative_to(self.folder).as_posix()
            if self.has_file(posix):
                found[path.name.casefold()].append(posix)
        return dict(found)
