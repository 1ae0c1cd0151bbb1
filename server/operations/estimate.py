"""How long a run still takes, from the rounds so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ceus_models.plan.plan import Plan, Stage, load_plan
from ceus_models.plan.train_stage import Train
from ceus_models.runtime.humanize import format_duration
from server.rounds.round_log import RoundLog
from server.run_folder.paths import StudyFolder
from server.run_folder.studies import find_plan

_LATEST = 5
_KINDS = {"hello": "hello", "statistics": "tally", "evaluate": "evaluate"}


@dataclass(frozen=True)
class Estimate:
    """done, rounds: of the whole run · spent_s: on rounds so far · left_s: for the rounds to come of a known kind ·
    complete: whether a round of each kind to come was seen.
    """

    done: int
    rounds: int
    spent_s: float
    left_s: float
    complete: bool

    def __str__(self) -> str:
        """For a person who follows the run."""
        place, whole = f"round {self.done} of {self.rounds}", format_duration(self.spent_s + self.left_s)
        if self.done == self.rounds:
            return f"{place}, the last; {whole} in all"
        if not self.left_s:
            return f"{place}, {whole} so far; how long the others take is not known yet"
        about = "about" if self.complete else "more than"
        return f"{place}, {about} {format_duration(self.left_s)} left of {whole}"


def estimate_run(plan: Plan, lines: Iterable[Mapping[str, Any]]) -> Estimate:
    """Estimate from the lines of `rounds.jsonl`: a round takes as long as the latest of its kind,
    of its stage if there are any.

    Waiting between rounds and stops are not in it.
    """
    planned = [(stage.name, kind) for stage in plan.stages for kind in _list_kinds(stage)]
    first = {name: index for index, (name, _) in reversed(list(enumerate(planned)))}
    took: dict[tuple[str, str], list[float]] = {}
    done, spent = 0, 0.0
    for line in lines:
        spent += line["seconds"]
        done = max(done, first.get(line["stage"], 0) + line["step"])
        for key in ((line["stage"], line["kind"]), ("", line["kind"])):
            took.setdefault(key, []).append(line["seconds"])
    usual = {key: sum(times[-_LATEST:]) / len(times[-_LATEST:]) for key, times in took.items()}
    to_come = [usual.get(key, usual.get(("", key[1]))) for key in planned[done:]]
    known = [seconds for seconds in to_come if seconds is not None]
    return Estimate(done, len(planned), spent, sum(known), len(known) == len(to_come))


def estimate_study(study: StudyFolder) -> Estimate | None:
    """Of a study's run; None before its first round. Raises ExpectedError where its plan cannot be read."""
    lines = RoundLog(study.run).read()
    return estimate_run(load_plan(find_plan(study)), lines) if lines else None


def _list_kinds(stage: Stage) -> list[str]:
    return [kind for kind, _ in stage.sequence()] if isinstance(stage, Train) else [_KINDS[stage.stage]]
