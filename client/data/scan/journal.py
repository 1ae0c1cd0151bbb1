"""What was found of each file, kept line by line, so that a scan that was stopped goes on where it was.

A file is known by a keyed digest of its path, size and time of change: the journal holds no path and no id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ceus_models.runtime.atomic_files import PRIVATE, end_last_line
from client.data.imaging.dicom.exam_header import make_digest
from client.data.scan.walk import FoundFile

_VERSION = 1


def stamp_file(key: bytes, file: FoundFile) -> str:
    """The digest by which a file is known."""
    return make_digest(key, "file", f"{file.path}\0{file.size}\0{file.modified_ns}")


class Journal:
    """A file of JSON lines: stamp → what was found. A line that a kill cut off is left out and read anew."""

    def __init__(self, path: Path, context: str = "") -> None:
        """Load what is there. context: of settings on which the findings depend; lines of others are left out."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._context = context
        self.known: dict[str, Mapping[str, Any]] = {}
        if path.exists():
            end_last_line(path)
            self._load(path)
        path.touch(PRIVATE)
        self._file = path.open("a", encoding="ascii")

    def _load(self, path: Path) -> None:
        with path.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                try:
                    version, context, stamp, found = json.loads(line)
                except ValueError:
                    continue
                if (version, context) == (_VERSION, self._context) and isinstance(found, dict):
                    self.known[str(stamp)] = found

    def keep(self, stamp: str, found: Mapping[str, Any]) -> None:
        """Write one finding down. Raises OSError."""
        self.known[stamp] = found
        self._file.write(json.dumps([_VERSION, self._context, stamp, found]) + "\n")
        self._file.flush()

    def __enter__(self) -> Journal:
        """The journal, which is closed at the end."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self._file.close()
