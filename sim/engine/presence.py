"""A link without some of its sites, for centers that do not take part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ceus_models.protocol.messages import Task
from server.rounds.round import Answer, Link


@dataclass(frozen=True)
class Without:
    """A link to all sites of another link except `away`."""

    link: Link
    away: Collection[str]

    def sites(self) -> Sequence[str]:
        """The sites that are connected."""
        return [site for site in self.link.sites() if site not in self.away]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers of connected sites."""
        return self.link.ask(task, sites)
