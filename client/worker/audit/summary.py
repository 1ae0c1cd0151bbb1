"""The audit for a person: entries in words, what left by stage, what is under way, the tensors of an answer."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from client.worker.audit.log import Entry

_IN_COLUMNS = ("n", "at", "kind", "hash", "study", "stage", "round", "asked")
_BITS = re.compile(r"\d+$")
_SHAPE = re.compile(r"(?P<dtype>\w+)\[(?P<shape>[\d, ]*)\]")


def in_words(entry: Entry) -> str:
    """What else matters of an entry, in a few words."""
    groups: Mapping[str, Any] = entry.get("groups") or {}
    if entry["kind"] == "answer":
        norms = ", ".join(f"{name} norm {group['norm']}".strip() for name, group in groups.items())
        return f"privacy {entry['privacy']}; {norms}"
    if entry["kind"] == "task":
        return ", ".join(entry["nets"] or entry["cohorts"])
    if entry["kind"] == "policy":
        return f"digest {entry['digest'][:12]}" + (f", {entry['faults']} faults" if entry["faults"] else "")
    if entry["kind"] == "refusal":
        return f"{entry['code']}: {entry['reason']}"
    if entry["kind"] == "layout":
        return f"names and shapes {entry['layout']}: {sum(map(len, groups.values()))} tensors"
    shown = (name for name in entry if name not in _IN_COLUMNS and entry[name] not in ([], {}, ""))
    return ", ".join(f"{name} {entry[name]}" for name in shown)


def moment(entry: Entry) -> float:
    """When it was written, in seconds since 1970."""
    return datetime.fromisoformat(entry["at"]).timestamp()


@dataclass
class LeftSite:
    """What left in one stage of a study, by what was asked. weights: lesions behind the answers, as stated in them."""

    study: str
    stage: str
    asked: str
    answers: int = 0
    refusals: int = 0
    bytes: int = 0
    last: str = ""
    weights: list[float] = field(default_factory=list)
    privacy: set[str] = field(default_factory=set)

    @property
    def lesions(self) -> str:
        """The least and the most of an answer."""
        if not self.weights:
            return ""
        least, most = min(self.weights), max(self.weights)
        return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def list_left(found: Iterable[Entry]) -> list[LeftSite]:
    """In the order in which the stages were first answered; a refusal of what was no task has no stage."""
    stages: dict[tuple[str, str, str], LeftSite] = {}
    for entry in found:
        if entry["kind"] not in ("answer", "refusal"):
            continue
        key = (str(entry.get("study", "")), str(entry.get("stage", "")), str(entry.get("asked", "")))
        line = stages.setdefault(key, LeftSite(*key))
        line.last = entry["at"]
        if entry["kind"] == "refusal":
            line.refusals += 1
            continue
        line.answers += 1
        line.bytes += entry["bytes"]
        line.weights.append(entry["weight"])
        line.privacy.add(entry["privacy"])
    return list(stages.values())


@dataclass(frozen=True)
class UnderWay:
    """A task that was begun and not answered. since: seconds since 1970 · usual_s: of the same kind in this stage."""

    task: Entry
    since: float
    usual_s: float | None


def under_way(found: Iterable[Entry]) -> UnderWay | None:
    """What the worker does, if it was not ended meanwhile; None where it waits."""
    begun, took = _follow_tasks(found)
    if begun is None:
        return None
    times = took.get((begun["stage"], begun["asked"]))
    return UnderWay(begun, moment(begun), statistics.median(times[-5:]) if times else None)


def measure_tasks(found: Iterable[Entry]) -> dict[tuple[str, str], float]:
    """(stage, what was asked) → seconds that the last five such tasks took, their median; of any study."""
    return {place: statistics.median(times[-5:]) for place, times in _follow_tasks(found)[1].items()}


def _follow_tasks(found: Iterable[Entry]) -> tuple[Entry | None, dict[tuple[str, str], list[float]]]:
    """The task that was begun and not answered, and how long the answered ones took, by stage and question."""
    begun: Entry | None = None
    took: dict[tuple[str, str], list[float]] = {}
    for entry in found:
        if entry["kind"] == "task":
            begun = entry
        elif entry["kind"] in ("start", "stop"):
            begun = None
        elif entry["kind"] in ("answer", "refusal") and begun and entry.get("task") == begun["task"]:
            if entry["kind"] == "answer":
                took.setdefault((entry["stage"], entry["asked"]), []).append(moment(entry) - moment(begun))
            begun = None
    return begun, took


@dataclass(frozen=True)
class TensorLine:
    """One tensor that left: its group (a net, a cohort), name, dtype with shape, and bytes."""

    group: str
    name: str
    form: str
    bytes: int


def tensors(answer: Entry, found: Iterable[Entry]) -> Iterator[TensorLine]:
    """Of an answer, by the list of names and shapes that it refers to."""
    layout = next((one for one in found if one["kind"] == "layout" and one["layout"] == answer["layout"]), None)
    for group, members in (layout["groups"] if layout else {}).items():
        for name, form in members.items():
            yield TensorLine(group, name, form, _bytes(form))


def _bytes(form: str) -> int:
    """Of "float32[3, 4]"."""
    match = _SHAPE.fullmatch(form)
    if match is None:
        return 0
    bits = _BITS.search(match["dtype"])  # bool has one byte
    sizes = [int(size) for size in match["shape"].split(",") if size.strip()]
    return math.prod(sizes) * (int(bits[0]) // 8 if bits else 1)
