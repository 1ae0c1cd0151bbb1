"""The comparison of arms: a table with a row for each arm and cohort, a figure, and a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.report.values import COHORT_TITLES
from server.results.metrics import Counts, Floats
from server.results.uncertainty.equivalence import MARGIN
from sim.experiments.arms import add_confusions
from sim.experiments.entry import Cell, Entry, describe_best_claim
from sim.experiments.experiment_file import Claim
from sim.experiments.paired import (
    Estimate,
    compute_difference,
    compute_estimate,
    compute_metric_rows,
    compute_share,
    compute_share_difference,
    is_equivalent,
    is_significant,
)

ALL_COHORTS = "all of these"


@dataclass(frozen=True, eq=False)
class ArmScores:
    """The counts of an arm.

    Args:
        label: of the arm.
        counts: cohort → confusion matrix (1+R k k) of each seed, None without a lesion.
        x: position on the figure's axis.
        p: cohort or ALL → p value of McNemar's test (McNemar 1947) against the first arm, for arms of one run.
        differences: (label, cohort or ALL) → paired difference of the accuracy from another arm's, for arms of one run.
        accuracies: cohort or ALL → accuracy with Wilson's interval, for arms of one run.
    """

    label: str
    counts: Mapping[str, Sequence[Counts | None]]
    x: float | None = None
    p: Mapping[str, float] = field(default_factory=dict)
    differences: Mapping[tuple[str, str], Estimate] = field(default_factory=dict)
    accuracies: Mapping[str, Estimate] = field(default_factory=dict)

    def compute_rows(self, metric: str, cohort: str) -> list[Floats] | None:
        """The metric (1+R) of every seed on a cohort or on ALL; None if a seed has no lesion there."""
        seeds = (
            self.counts[cohort]
            if cohort != ALL_COHORTS
            else [add_confusions(c) for c in zip(*self.counts.values(), strict=True)]
        )
        known = [confusion for confusion in seeds if confusion is not None]
        return [compute_metric_rows(metric, confusion) for confusion in known] if len(known) == len(seeds) else None

    def estimate(self, metric: str, cohort: str) -> Estimate | None:
        """The metric with its interval; None if a seed has no lesion there."""
        if metric == "accuracy" and cohort in self.accuracies:
            return self.accuracies[cohort]
        found = self.compute_rows(metric, cohort)
        if found and metric == "accuracy":
            return compute_share(found, self.count_lesions(cohort))
        return compute_estimate(found) if found else None

    def subtract(self, other: ArmScores, metric: str, cohort: str) -> Estimate | None:
        """The metric minus that of another arm; None if one of them has no lesion.

        Without replicates that pair them, the two are resampled independently, which makes the interval too wide.
        """
        if metric == "accuracy" and (other.label, cohort) in self.differences:
            return self.differences[other.label, cohort]
        own, against = self.compute_rows(metric, cohort), other.compute_rows(metric, cohort)
        if own and against and metric == "accuracy":
            return compute_share_difference(own, against, self.count_lesions(cohort))
        return compute_difference(own, against) if own and against else None

    def count_lesions(self, cohort: str) -> int:
        """Number of scored lesions."""
        found = [self.counts[cohort][0]] if cohort != ALL_COHORTS else [seeds[0] for seeds in self.counts.values()]
        return sum(int(confusion[0].sum()) for confusion in found if confusion is not None)


@dataclass(frozen=True)
class TableSettings:
    """Settings of the comparison: `axis` is the name of the arms' x or "", `seeds` the number of seeds of a value."""

    title: str
    metric: str
    axis: str
    seeds: int
    claim: Claim | None


def build_entry(arms: Sequence[ArmScores], shown: TableSettings) -> Entry:
    """Compare the arms; the first one is the reference."""
    first, cohorts = arms[0], list(arms[0].counts)
    places = [*cohorts, ALL_COHORTS] if len(cohorts) > 1 else cohorts
    paired = any(arm.p for arm in arms)
    rows: list[list[Cell]] = []
    for place in places:
        for arm in arms:
            value = _format_cells(arm.estimate(shown.metric, place))
            beside = _format_cells(None if arm is first else arm.subtract(first, shown.metric, place))
            tested = [arm.p.get(place)] if paired else []
            rows.append(
                [COHORT_TITLES.get(place, place), arm.label, arm.count_lesions(place), *value, *beside, *tested]
            )
    name = shown.metric.replace("_", " ")
    columns = ["cohort", "arm", "lesions", name, "low", "high", f"minus {first.label}", "minus low", "minus high"]
    columns += ["p (McNemar)"] if paired else []
    whole = {arm.label: arm.estimate(shown.metric, places[-1]) for arm in arms}
    values = {label: found for label, found in whole.items() if found is not None}
    return Entry(
        title=shown.title,
        columns=columns,
        rows=rows,
        figure=_build_figure(arms, values, shown, name),
        finding=describe_finding(values, {arm.label: arm for arm in arms}, (places[-1], shown)),
    )


def describe_finding(
    values: Mapping[str, Estimate], arms: Mapping[str, ArmScores], table: tuple[str, TableSettings]
) -> str:
    """The finding as text: the best arm, the arms that differ from it significantly, and the study's claim.

    Args:
        values: of the metric, by label of the arm.
        arms: by label.
        table: the cohort or ALL that the finding is about, and the table's settings.
    """
    place, shown = table
    if len(values) < 2:
        return "Too few arms have lesions to compare."
    order = sorted(values, key=lambda label: -values[label].value)
    best, second = order[0], order[1]
    beside = {label: arms[best].subtract(arms[label], shown.metric, place) for label in order[1:]}
    apart = [label for label, difference in beside.items() if difference and is_significant(difference)]
    text = f"Highest {shown.metric.replace('_', ' ')}: {best} ({values[best].value:.3f})"
    if len(apart) == len(order) - 1:
        text += f", above {'every other arm' if len(apart) > 1 else second} by more than the interval of the difference"
    elif apart:
        text += f"; different from {', '.join(apart)} only"
    else:
        text += "; no other arm differs by more than the interval of the difference"
    text += f" ({shown.seeds} seed{'s' if shown.seeds > 1 else ''})."
    if shown.metric == "accuracy":
        text += describe_equivalence(best, {label: gap for label, gap in beside.items() if label not in apart})
    return f"{text} {describe_best_claim(shown.claim, best, second in apart)}".strip()


def describe_equivalence(best: str, beside: Mapping[str, Estimate | None]) -> str:
    """Which arms are shown to be as good as the best one, of those that do not differ from it, as text."""
    alike = [label for label, gap in beside.items() if gap is not None and is_equivalent(gap)]
    unknown = [label for label in beside if label not in alike]
    text = f" Equivalent to {best} within ±{MARGIN:g}: {', '.join(alike)}." if alike else ""
    return text + (f" Neither different nor shown to be within ±{MARGIN:g}: {', '.join(unknown)}." if unknown else "")


def _build_figure(
    arms: Sequence[ArmScores], values: Mapping[str, Estimate], shown: TableSettings, name: str
) -> dict[str, Any] | None:
    known = [arm for arm in arms if arm.label in values]
    points: list[dict[str, Any]] = [{"label": arm.label, **_format_ends(values[arm.label])} for arm in known]
    if not points:
        return None
    xlabel = f"{name}, 95 % interval"
    along = [arm.x for arm in known if arm.x is not None]
    if shown.axis and len(along) == len(known):
        placed = [{"x": x, **point} for x, point in zip(along, points, strict=True)]
        series = [{"label": name, "points": sorted(placed, key=lambda point: point["x"])}]
        return {"kind": "lines", "xlabel": shown.axis, "ylabel": xlabel, "series": series}
    return {"kind": "intervals", "xlabel": xlabel, "points": points, "line": None}


def _format_ends(value: Estimate) -> dict[str, float | None]:
    return dict(zip(("value", "low", "high"), value.as_cells, strict=True))


def _format_cells(value: Estimate | None) -> list[float | None]:
    return [None, None, None] if value is None else value.as_cells
