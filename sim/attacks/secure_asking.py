"""Secure sums as a curious coordinator runs them: it follows the protocol, or opens a session twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from ceus_models.plan.answers.secure_layout import list_layout, split_site_counts
from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import Refusal, Task
from ceus_models.protocol.privacy.fixed_point import Ring, unpack_totals
from ceus_models.protocol.privacy.secure_session import MASKED
from client.worker.site.site import Site
from server.rounds.round import Answer, Call
from server.rounds.screening import Gate
from server.rounds.sum_session import SumSession, begin_session
from server.rounds.unmasking import MaskedTotal


@dataclass
class SitesLink:
    """A link straight to some sites.

    Args:
        members: the sites.
        log: what became of every question.
        refusals: in order.
        masked: the last masked answer of each site.
    """

    members: Sequence[Site]
    log: list[str]
    refusals: list[Refusal] = field(default_factory=list)
    masked: dict[str, Ring] = field(default_factory=dict)

    def sites(self) -> list[str]:
        """Their names."""
        return [site.name for site in self.members]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers, one after the other."""
        for site in self.members:
            if site.name not in sites:
                continue
            answer = site.handle(task)
            self.log.append(answer.code if isinstance(answer, Refusal) else "answered")
            if isinstance(answer, Refusal):
                self.refusals.append(answer)
            elif MASKED in answer.sums:
                self.masked[site.name] = answer.sums[MASKED].contiguous().numpy().view(np.uint64).copy()
            yield site.name, answer


def begin(link: SitesLink, task: Task, keys: Mapping[str, bytes]) -> SumSession:
    """A session of the link's sites for a task. keys: the sites' channel keys."""
    call = Call(
        task=task,
        gate=Gate(task, Screening()),
        sites=tuple(link.sites()),
        summand=lambda task, update: update.sums,
        frozen=dict,
        tell=lambda site, fate, reason: None,
    )
    return begin_session(link, call, {name: keys[name] for name in link.sites()})


def ask_sum(link: SitesLink, task: Task, keys: Mapping[str, bytes]) -> dict[str, Tensor] | None:
    """The opened total over the link's sites, or None where they did not open it."""
    session = begin(link, task, keys)
    masked = session.gather()
    total = None if masked is None else session.open(masked)
    return None if total is None else unpack(total, task)


def open_twice(link: SitesLink, task: Task, keys: Mapping[str, bytes], without: str) -> tuple[Ring | None, Ring | None]:
    """The total of one session, and that of the same session as if one site had been lost after it answered."""
    session = begin(link, task, keys)
    masked = session.gather()
    if masked is None:
        return None, None
    whole = session.open(masked)
    survivors = tuple(name for name in masked.survivors if name != without)
    rest = masked.vector - link.masked[without]
    fewer: MaskedTotal = replace(masked, survivors=survivors, vector=rest)
    return whole, session.open(fewer)


def unpack(total: Ring, task: Task) -> dict[str, Tensor]:
    """The sums of a total without masks."""
    return dict(split_site_counts(unpack_totals(total, list_layout(task)), task).sums)
