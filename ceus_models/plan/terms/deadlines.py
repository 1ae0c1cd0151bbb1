"""Time limits for a site's answer, from the plan's bounds and the site's own earlier response times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ceus_models.plan.terms.participation import FAULTS
from ceus_models.protocol.messages import Task

_REMEMBERED = 5


@dataclass(frozen=True)
class Deadlines:
    """Time limits of a plan, in seconds.

    Args:
        gather_s: for the expected sites to connect before the study starts.
        first_s: for the first answer of a site to a kind of task.
        factor: a later answer may take this many times the longest of the site's last five.
        least_s, most_s: lower and upper bound of any limit.
        absent_s: for a disconnected site to reconnect.
        attempts: how often one task is sent to one site at most.
    """

    gather_s: float = 300.0
    first_s: float = 3600.0
    factor: float = 3.0
    least_s: float = 300.0
    most_s: float = 21600.0
    absent_s: float = 120.0
    attempts: int = 5

    def __post_init__(self) -> None:
        """Raise ValueError for a limit out of its range."""
        for name in ("gather_s", "first_s", "least_s", "absent_s"):
            if not 0 < getattr(self, name) <= self.most_s:
                found = getattr(self, name)
                raise ValueError(f"{name} must be above 0 and at most most_s ({self.most_s:g}), not {found:g}")
        for name in ("factor", "attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name):g}")


class ResponseTimes:
    """Response times of each site by stage and kind of task, and its consecutive missed answers.

    >>> times = ResponseTimes(Deadlines(first_s=600.0))
    >>> times.record_answer("north", "submodels", "train", 200.0)
    >>> times.estimate("north", "submodels", "train")
    200.0
    """

    def __init__(self, deadlines: Deadlines) -> None:
        """Start without any record."""
        self._deadlines = deadlines
        self._took: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._missed: dict[str, int] = defaultdict(int)

    def record_answer(self, site: str, stage: str, kind: str, seconds: float) -> None:
        """Record an answer and how long it took."""
        took = self._took[site, stage, kind]
        took.append(seconds)
        del took[:-_REMEMBERED]
        self._missed[site] = 0

    def record_miss(self, site: str) -> None:
        """Record that no answer came in time."""
        self._missed[site] += 1

    def load_line(self, line: Mapping[str, Any]) -> None:
        """Record the event of one line of the message log, written by an earlier process."""
        if line.get("event") == "lost" or (line.get("event") == "came" and line.get("fault")):
            self.record_miss(str(line["site"]))
        elif line.get("event") == "came":
            self.record_answer(str(line["site"]), str(line["stage"]), str(line["kind"]), float(line["seconds"]))

    def compute_limit(self, site: str, task: Task) -> float:
        """Seconds that the site may take for the task.

        After one or two missed answers the limit doubles each time; from the third on it is the usual one again, so
        that a site that never answers cannot delay every round.
        """
        plan, took = self._deadlines, self._took[site, task.stage, task.kind]
        missed = self._missed[site]
        usual = plan.factor * max(took) if took else plan.least_s if missed >= FAULTS else plan.first_s
        longer = 2.0**missed if missed < FAULTS else 1.0
        return min(max(usual * longer, plan.least_s), plan.most_s)

    def estimate(self, site: str, stage: str, kind: str) -> float | None:
        """Mean of the latest response times in seconds; None without any."""
        took = self._took[site, stage, kind]
        return sum(took) / len(took) if took else None
