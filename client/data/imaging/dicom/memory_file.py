"""A file that lies in memory alone: what is unpacked from a clip shows whole screens and is never written to a disk."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from pathlib import Path


class MemoryFile:
    """Gone with the last reference to it. `path` opens it like any file, in this process."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Holds the chunks one after the other. What the chunks raise passes."""
        descriptor = os.memfd_create("clip")
        weakref.finalize(self, os.close, descriptor)
        self.path = Path(f"/proc/self/fd/{descriptor}")
        with os.fdopen(os.dup(descriptor), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
