"""Which site a free worker is given next."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence


class SiteQueue:
    """Sites to ask, in order, in a line for each worker that has them open: finding the next takes no search."""

    def __init__(self, sites: Sequence[str], homes: Mapping[str, object]) -> None:
        """Put the sites in a line. homes: the worker that has a site open."""
        self._homes = homes
        self._lines: dict[object | None, deque[tuple[int, str]]] = {}
        self._count = self._left = 0
        for site in sites:
            self.append(site)

    def __len__(self) -> int:
        """Sites that are left."""
        return self._left

    def append(self, site: str) -> None:
        """Put a site last."""
        self._lines.setdefault(self._homes.get(site), deque()).append((self._count, site))
        self._count += 1
        self._left += 1

    def take(self, worker: object, pinned: bool) -> str | None:
        """The first site that the worker or nobody has open; without one the first of all, if it is not pinned."""
        own = [line for home in (worker, None) if (line := self._lines.get(home))]
        lines = own or [line for line in self._lines.values() if line and not pinned]
        if not lines:
            return None
        self._left -= 1
        return min(lines, key=lambda line: line[0]).popleft()[1]
