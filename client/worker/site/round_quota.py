"""How many different tasks a site answered today, for the bound on rounds per day."""

from __future__ import annotations

import datetime
import json
import zoneinfo
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import write_atomically

ROUNDS_FILE = "rounds.json"


@dataclass(frozen=True)
class RoundQuota:
    """A small file of the day's answered tasks, by content: the same task asked again is the same round."""

    records: Path

    def hold(self, task: str, most: int, today: str) -> bool:
        """Whether one more answer, to the task of this content id, stays within `most`."""
        answered = self._answered(today)
        return task in answered or len(answered) < most

    def add(self, task: str, today: str) -> None:
        """Count an answer. Raises OSError where it cannot be written."""
        answered = self._answered(today)
        if task not in answered:
            write_atomically(
                self.records / ROUNDS_FILE, json.dumps({"day": today, "tasks": [*answered, task]}).encode()
            )

    def _answered(self, today: str) -> list[str]:
        """Raises ValueError for a file that was changed by hand: it must not count as an empty one."""
        try:
            values = json.loads((self.records / ROUNDS_FILE).read_bytes())
        except FileNotFoundError:
            return []
        if not isinstance(values, dict) or not isinstance(values.get("tasks"), list):
            raise ValueError(f"{ROUNDS_FILE} is not as it was written")
        return values["tasks"] if values.get("day") == today else []


def day_of(at: datetime.datetime, zone: str) -> str:
    """The hospital's date at that time."""
    return at.astimezone(zoneinfo.ZoneInfo(zone)).date().isoformat()
