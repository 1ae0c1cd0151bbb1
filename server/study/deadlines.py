"""How long a site may take: what the plan allows, and what the site itself took before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ceus_models.protocol.messages import Task
from server.study.participation import FAULTS

_REMEMBERED = 5


@dataclass(frozen=True)
class Deadlines:
    """Bounds of every wait, in seconds; the plan's part.

    gather_s: for the sites to connect at first · first_s: for an answer of a kind that the site never gave · factor:
    a later answer may take so many times the longest of the site's last five · least_s, most_s: bounds of that ·
    absent_s: for a site that went away to come back · attempts: how often one task is sent to one site at most.
    """

    gather_s: float = 300.0
    first_s: float = 3600.0
    factor: float = 3.0
    least_s: float = 300.0
    most_s: float = 21600.0
    absent_s: float = 120.0
    attempts: int = 5

    def __post_init__(self) -> None:
        """Raises ValueError for bounds that cannot hold."""
        for name in ("gather_s", "first_s", "least_s", "absent_s"):
            if not 0 < getattr(self, name) <= self.most_s:
                found = getattr(self, name)
                raise ValueError(f"{name} must be above 0 and at most most_s ({self.most_s:g}), not {found:g}")
        if self.factor < 1 or self.attempts < 1:
            raise ValueError("factor and attempts must be at least 1")


class Histories:
    """What each site took, by stage and kind of task, and how often in a row it gave nothing."""

    def __init__(self, deadlines: Deadlines) -> None:
        """Without a history."""
        self._deadlines = deadlines
        self._took: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._missed: dict[str, int] = defaultdict(int)

    def answered(self, site: str, stage: str, kind: str, seconds: float) -> None:
        """An answer came, so long after the question."""
        took = self._took[site, stage, kind]
        took.append(seconds)
        del took[:-_REMEMBERED]
        self._missed[site] = 0

    def missed(self, site: str) -> None:
        """No answer came in time."""
        self._missed[site] += 1

    def recall(self, line: Mapping[str, Any]) -> None:
        """Learn from a line of the mirror, written before this process began."""
        if line.get("event") == "lost" or (line.get("event") == "came" and line.get("fault")):
            self.missed(str(line["site"]))
        elif line.get("event") == "came":
            self.answered(str(line["site"]), str(line["stage"]), str(line["kind"]), float(line["seconds"]))

    def limit(self, site: str, task: Task) -> float:
        """How long the site may take for the task.

        One that was late once or twice gets twice, or four times, as long; one that goes on giving nothing gets no
        more than it used to need, so that it cannot hold up every round.
        """
        plan, took = self._deadlines, self._took[site, task.stage, task.kind]
        missed = self._missed[site]
        usual = plan.factor * max(took) if took else plan.least_s if missed >= FAULTS else plan.first_s
        longer = 2.0**missed if missed < FAULTS else 1.0
        return min(max(usual * longer, plan.least_s), plan.most_s)

    def estimate(self, site: str, stage: str, kind: str) -> float | None:
        """How long an answer took lately, None without a history."""
        took = self._took[site, stage, kind]
        return sum(took) / len(took) if took else None
