"""Anonymous shared memory of two processes.

A message is written once and read in place: 134 MB of weights reach a worker without copying or pickling. The memory is
an anonymous file (`memfd`), so nothing remains when the processes are killed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

from ceus_models.protocol.tensor_buffers import Buffer


class SharedBuffer:
    """Memory of this process that another process of the same user opens by `path`."""

    def __init__(self, name: str) -> None:
        """Allocate empty memory; `name` appears only in /proc."""
        self._file = os.memfd_create(name)
        self._map: mmap.mmap | None = None
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"

    def write(self, buffers: Sequence[Buffer]) -> int:
        """Write `buffers` one after the other from the start, grow as needed, and return the number of bytes."""
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        length = sum(len(view) for view in views)
        if self._map is None or length > len(self._map):
            os.ftruncate(self._file, max(length, mmap.PAGESIZE))
            self._map = mmap.mmap(self._file, 0)
        place = 0
        for view in views:
            self._map[place : place + len(view)] = view
            place += len(view)
        return length

    def release_pages(self) -> None:
        """Free the memory until the next `write`; a process that still reads it gets zeros."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        """Free the memory once no process maps it."""
        self._map = None
        os.close(self._file)


class SharedView:
    """The mapped memory of another process; mapped again only when it has grown."""

    def __init__(self) -> None:
        """Nothing is mapped yet."""
        self._map: mmap.mmap | None = None

    def view(self, path: str, length: int) -> memoryview:
        """The first `length` bytes of the memory at `path`, always the same path; the writer may change them later."""
        if self._map is None or len(self._map) < length:
            with Path(path).open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), 0)
        return memoryview(self._map)[:length]

    def release_pages(self) -> None:
        """Free the memory until the writer writes anew."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_REMOVE)
