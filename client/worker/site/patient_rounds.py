"""In which rounds a patient may have taken part: from the audit, and the indexes that its answers name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from client.worker.audit.log import Entry, entries
from client.worker.privacy.study_facts import StudyFacts

INDEXES = "indexes"
"""Folder of the records: every index that was answered from, a file named by its digest."""


@dataclass(frozen=True)
class PatientRounds:
    """Answers of one stage that a patient's lesions may be in.

    Args:
        study: digest of the plan.
        asked: kind of the task.
        rounds: numbers, in order.
    """

    study: str
    stage: str
    asked: str
    rounds: tuple[int, ...]


@dataclass(frozen=True)
class Participation:
    """What is known of a patient's part.

    Args:
        stages: in the order of the audit.
        unknown: answers that name no index, or one whose record is lost.
    """

    stages: tuple[PatientRounds, ...]
    unknown: int


def find_rounds(records: Path, patient: str) -> Participation:
    """Find the answers that a patient's lesions may be in. Whether a lesion had a label for a net is not looked at.

    Args:
        records: folder of the audit.
        patient: pseudonym.

    Raises:
        AuditError: the record of a study was changed.
    """
    read = cache(lambda index: _read_lesions(records, index, patient))
    facts = StudyFacts(records)
    found: dict[tuple[str, str, str], set[int]] = {}
    unknown = 0
    for answer, cohorts in _list_answers(records):
        lesions = read(str(answer.get("index", "")))
        if lesions is None:
            unknown += 1
            continue
        held = set((facts.find(answer["study"], "lesions") or "").split())
        if any(lesion in held and (not cohorts or cohort in cohorts) for lesion, cohort in lesions.items()):
            place = (answer["study"], answer["stage"], answer["asked"])
            found.setdefault(place, set()).add(answer["round"])
    return Participation(tuple(PatientRounds(*place, tuple(sorted(n))) for place, n in found.items()), unknown)


def list_recorded_lesions(records: Path, patient: str) -> set[str]:
    """A patient's lesions in any index that was answered from, by pseudonym."""
    found: set[str] = set()
    for path in sorted((records / INDEXES).glob("*.json")):
        found |= set(_read_lesions(records, path.stem, patient) or ())
    return found


def _list_answers(records: Path) -> Iterator[tuple[Entry, Collection[str]]]:
    """The answers about lesions, with the cohorts that were asked for."""
    asked: dict[str, Collection[str]] = {}
    for entry in entries(records):
        if entry["kind"] == "task":
            asked[entry["task"]] = entry["cohorts"]
        elif entry["kind"] == "answer" and entry.get("asked") in ("hello", "tally", "train", "evaluate"):
            yield entry, asked.get(entry["task"], ())


def _read_lesions(records: Path, index: str, patient: str) -> dict[str, str] | None:
    """A patient's lesions in an index, with their cohorts; None where its record cannot be read."""
    try:
        document = json.loads((records / INDEXES / f"{index}.json").read_bytes())
        return {one["lesion"]: one["cohort"] for one in document["lesions"] if one["patient"] == patient}
    except (OSError, ValueError, KeyError, TypeError):
        return None
