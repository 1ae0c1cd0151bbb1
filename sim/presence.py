"""Centers that are not there every round: a link over another one, which leaves a seeded choice of them out."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from ceus_models.seeds import seed_of
from ceus_models.wire import Task
from server.exchange import Answer, Link, Lost

ABSENT = "not present in this round, as the simulation says"


@dataclass(eq=False)
class Attendance:
    """share: of the asked sites that are present in a round of training; they are asked, the others are lost to it,
    and the round's record says so · away: sites that are never connected.
    """

    link: Link
    share: float = 1.0
    away: Collection[str] = ()
    _chosen: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict, init=False)

    def sites(self) -> Sequence[str]:
        """The sites that are connected."""
        return [site for site in self.link.sites() if site not in self.away]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers of those present. Counting, statistics and evaluation are asked of everybody."""
        here = self._present(task, sites) if task.kind == "train" else frozenset(sites)
        for site in sorted(set(sites) - here):
            yield site, Lost(site, ABSENT)
        yield from self.link.ask(task, [site for site in sites if site in here])

    def _present(self, task: Task, sites: Sequence[str]) -> frozenset[str]:
        """Chosen among those of a round's first question: some of them may be asked once more in it."""
        round_ = (task.stage, task.round)
        if round_ not in self._chosen:
            self._chosen = {round_: present(task, sites, self.share)}
        return self._chosen[round_]


def present(task: Task, sites: Sequence[str], share: float) -> frozenset[str]:
    """The share of the sites, at least one, that has the lowest draws; a draw depends on (seed, stage, round, site)."""
    drawn = sorted(sites, key=lambda site: (seed_of(task.seed, "present", task.stage, task.round, site), site))
    return frozenset(drawn[: max(1, math.ceil(share * len(drawn) - 1e-9))])
