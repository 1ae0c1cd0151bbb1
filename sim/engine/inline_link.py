"""The simplest link, for one place that holds all lesions, and for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ceus_models.protocol.messages import Task
from server.rounds.round import Answer
from sim.engine.worker import SiteOpener, TaskHandler


class InlineLink:
    """The simplest link: the sites answer one after the other in this process."""

    def __init__(self, sites: Sequence[str], opener: SiteOpener) -> None:
        """Keep the opener; a site is opened with its first task."""
        self._names, self._opener = list(sites), opener
        self._open: dict[str, TaskHandler] = {}

    def sites(self) -> list[str]:
        """All sites, in order."""
        return list(self._names)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers, in the order of `sites`."""
        for site in sites:
            if site not in self._open:
                self._open[site] = self._opener(site)
            yield site, self._open[site].handle(task)

    def close(self) -> None:
        """Do nothing: there are no processes."""
