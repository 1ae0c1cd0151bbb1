"""The comparison of arms: a table with a row for each arm and cohort, a figure, and a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.report.values import COHORT_TITLES
from server.results.metrics import Floats, Ints
from sim.experiments.arms import pooled
from sim.experiments.entry import Cell, Entry, judge_best
from sim.experiments.experiment_file import Claim
from sim.experiments.paired import Value, difference, rows_of, told_apart, valued

ALL = "all of these"


@dataclass(frozen=True, eq=False)
class Scored:
    """The counts of an arm.

    Args:
        label: of the arm.
        counts: cohort → confusion matrix (1+R k k) of each seed, None without a lesion.
        x: position on the figure's axis.
        p: cohort or ALL → p value of McNemar's test (McNemar 1947) against the first arm, for arms of one run.
    """

    label: str
    counts: Mapping[str, Sequence[Ints | None]]
    x: float | None = None
    p: Mapping[str, float] = field(default_factory=dict)

    def rows(self, metric: str, cohort: str) -> list[Floats] | None:
        """The metric (1+R) of every seed on a cohort or on ALL; None if a seed has no lesion there."""
        seeds = self.counts[cohort] if cohort != ALL else [pooled(c) for c in zip(*self.counts.values(), strict=True)]
        known = [confusion for confusion in seeds if confusion is not None]
        return [rows_of(metric, confusion) for confusion in known] if len(known) == len(seeds) else None

    def lesions(self, cohort: str) -> int:
        """Number of scored lesions."""
        found = [self.counts[cohort][0]] if cohort != ALL else [seeds[0] for seeds in self.counts.values()]
        return sum(int(confusion[0].sum()) for confusion in found if confusion is not None)


@dataclass(frozen=True)
class Shown:
    """Settings of the comparison: `axis` is the name of the arms' x or "", `seeds` the number of seeds of a value."""

    title: str
    metric: str
    axis: str
    seeds: int
    claim: Claim | None


def entry_of(arms: Sequence[Scored], shown: Shown) -> Entry:
    """Compare the arms; the first one is the reference."""
    first, cohorts = arms[0], list(arms[0].counts)
    places = [*cohorts, ALL] if len(cohorts) > 1 else cohorts
    paired = any(arm.p for arm in arms)
    rows: list[list[Cell]] = []
    for place in places:
        against = first.rows(shown.metric, place)
        for arm in arms:
            found = arm.rows(shown.metric, place)
            value = _cells(valued(found) if found else None)
            beside = _cells(difference(found, against) if found and against and arm is not first else None)
            tested = [arm.p.get(place)] if paired else []
            rows.append([COHORT_TITLES.get(place, place), arm.label, arm.lesions(place), *value, *beside, *tested])
    name = shown.metric.replace("_", " ")
    columns = ["cohort", "arm", "lesions", name, "low", "high", f"minus {first.label}", "minus low", "minus high"]
    columns += ["p (McNemar)"] if paired else []
    whole = {arm.label: arm.rows(shown.metric, places[-1]) for arm in arms}
    values = {label: valued(found) for label, found in whole.items() if found}
    return Entry(
        title=shown.title,
        columns=columns,
        rows=rows,
        figure=_figure(arms, values, shown, name),
        finding=finding(values, {label: found for label, found in whole.items() if found}, shown),
    )


def finding(values: Mapping[str, Value], rows: Mapping[str, Sequence[Floats]], shown: Shown) -> str:
    """The finding as text: the best arm, the arms that differ from it significantly, and the study's claim."""
    if len(values) < 2:
        return "Too few arms have lesions to compare."
    order = sorted(values, key=lambda label: -values[label].value)
    best, second = order[0], order[1]
    apart = [label for label in order[1:] if told_apart(difference(rows[best], rows[label]))]
    text = f"Highest {shown.metric.replace('_', ' ')}: {best} ({values[best].value:.3f})"
    if len(apart) == len(order) - 1:
        text += f", above {'every other arm' if len(apart) > 1 else second} by more than the interval of the difference"
    elif apart:
        text += f"; different from {', '.join(apart)} only"
    else:
        text += "; no other arm differs by more than the interval of the difference"
    text += f" ({shown.seeds} seed{'s' if shown.seeds > 1 else ''})."
    return f"{text} {judge_best(shown.claim, best, second in apart)}".strip()


def _figure(arms: Sequence[Scored], values: Mapping[str, Value], shown: Shown, name: str) -> dict[str, Any] | None:
    known = [arm for arm in arms if arm.label in values]
    points: list[dict[str, Any]] = [{"label": arm.label, **_ends(values[arm.label])} for arm in known]
    if not points:
        return None
    xlabel = f"{name}, 95 % interval"
    along = [arm.x for arm in known if arm.x is not None]
    if shown.axis and len(along) == len(known):
        placed = [{"x": x, **point} for x, point in zip(along, points, strict=True)]
        series = [{"label": name, "points": sorted(placed, key=lambda point: point["x"])}]
        return {"kind": "lines", "xlabel": shown.axis, "ylabel": xlabel, "series": series}
    return {"kind": "intervals", "xlabel": xlabel, "points": points, "line": None}


def _ends(value: Value) -> dict[str, float | None]:
    return dict(zip(("value", "low", "high"), value.plain, strict=True))


def _cells(value: Value | None) -> list[float | None]:
    return [None, None, None] if value is None else value.plain
