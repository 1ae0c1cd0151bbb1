"""A link without the centers that do not take part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ceus_models.protocol.messages import Task
from server.rounds.round import Adder, AddingLink, Answer, Link, PartialRound


@dataclass(frozen=True)
class PartialLink:
    """A link to all sites of another link except `away`, for centers that do not take part."""

    link: Link
    away: Collection[str]

    def sites(self) -> Sequence[str]:
        """The sites that are connected."""
        return [site for site in self.link.sites() if site not in self.away]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers of connected sites."""
        return self.link.ask(task, sites)


@dataclass(frozen=True)
class AddingPartialLink(PartialLink):
    """The same of a link that adds answers where they are made."""

    link: AddingLink

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        """What connected sites gave."""
        return self.link.gather(task, sites, adder)


def leave_out(link: Link, away: Collection[str]) -> Link:
    """The link without the sites `away`, adding answers where they are made if it does."""
    return AddingPartialLink(link, away) if isinstance(link, AddingLink) else PartialLink(link, away)
