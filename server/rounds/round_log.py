"""`rounds.jsonl`: the metrics of every round, one JSON line per round, to follow or plot a run without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from server.rounds.events import Event, Finished

ROUNDS = "rounds.jsonl"


@dataclass(frozen=True)
class RoundLog:
    """The `rounds.jsonl` of a run's folder. `append` is a `server.rounds.coordinator.Listener`."""

    folder: Path

    def append(self, event: Event) -> None:
        """Append a finished round. A round that is repeated after a crash replaces its earlier line."""
        if not isinstance(event, Finished):
            return
        line = build_line(event)
        kept = [old for old in self.read() if round_key(old) != round_key(line)]
        text = "".join(f"{json.dumps(one, sort_keys=True)}\n" for one in [*kept, line])
        write_atomically(self.folder / ROUNDS, text.encode(), PUBLIC)

    def read(self) -> list[dict[str, Any]]:
        """The rounds so far, in order."""
        path = self.folder / ROUNDS
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def stamp(self) -> tuple[int, int] | None:
        """Changes when a round is added; None before the first."""
        path = self.folder / ROUNDS
        if not path.exists():
            return None
        found = path.stat()
        return found.st_mtime_ns, found.st_ino


def build_line(event: Finished) -> dict[str, Any]:
    """Build the line of a round: position, sites by outcome, seconds, bytes, mean loss and lesions by net."""
    record = event.record
    return {
        "stage": record.stage,
        "kind": record.kind,
        "round": record.round,
        "step": event.step,
        "steps": event.steps,
        "asked": len(record.asked),
        "counted": len(record.counted),
        "refused": len(record.refused),
        "excluded": len(record.excluded),
        "lost": len(record.lost),
        "seconds": round(record.seconds, 3),
        "sent": record.sent,
        "received": record.received,
        "loss": {point.net: point.loss for point in event.points},
        "lesions": {point.net: point.weight for point in event.points},
    }


def round_key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """The unique key of a round within its run."""
    return line["stage"], line["kind"], line["round"], line["step"]
