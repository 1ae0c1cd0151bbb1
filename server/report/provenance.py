"""The report's sections on origin: trainings compared, participation, statistics, what made the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from ceus_models.taxonomy import LESION_TYPES
from server.report import cells, training_figures
from server.report.markup import Cell, Html, escaped, figure, grid, paragraph, table, tag
from server.report.markup import section as html_section
from server.report.values import Results, at, how_many, number, section

_NAMED_SITES = 6


def participation(results: Results) -> Html:
    """Who was asked and who answered, what was turned away and why, and the cases that sites skipped."""
    entries = [entry for entry in at(results, "participation") or [] if isinstance(entry, Mapping)]
    skipped = section(results, "skipped")
    parts = []
    if entries:
        head = ["Stage", "Rounds", "Registered", "Asked", "Answered", "Counted", "Seconds"]
        parts.append(table(head, _stage_rows(entries), "Sites, on average over the rounds of a stage"))
        parts.append(grid([figure(training_figures.participation_figure(results))], "wide"))
        parts.append(_turned_away(entries))
    if skipped:
        rows = [[reason, cells.count(how_many(count))] for reason, count in sorted(skipped.items())]
        parts.append(table(["Reason", "Lesions"], rows, "Cases skipped when the sites read their files"))
    elif at(results, "skipped") is not None:
        parts.append(paragraph("No case was skipped when the sites read their files."))
    return html_section("participation", "Participation", parts)


def _stage_rows(entries: list[Mapping[str, Any]]) -> Iterator[list[Cell]]:
    for stage in dict.fromkeys(str(entry.get("stage")) for entry in entries):
        rounds = [entry for entry in entries if str(entry.get("stage")) == stage]
        counts = [[how_many(entry[key]) for entry in rounds if entry.get(key) is not None] for key in _COUNTS]
        means = [f"{fmean(row):.1f}".removesuffix(".0") if row else cells.DASH for row in counts]
        seconds = [found for entry in rounds if (found := number(entry.get("seconds"))) is not None]
        yield [stage, str(len(rounds)), *means, f"{sum(seconds):.1f}" if seconds else cells.DASH]


_COUNTS = ("registered", "asked", "answered", "counted")


def _turned_away(entries: list[Mapping[str, Any]]) -> Html:
    found: dict[tuple[str, str, str], list[str]] = {}
    for entry in entries:
        for outcome in ("refused", "excluded", "lost"):
            for site, reason in section(entry, outcome).items():
                found.setdefault((str(entry.get("stage")), outcome, str(reason)), []).append(str(site))
    if not found:
        return paragraph("No site refused, was excluded or was lost in any round.")
    rows = [
        [stage, outcome, reason, str(len(sites)), _named(sites)] for (stage, outcome, reason), sites in found.items()
    ]
    head = ["Stage", "Outcome", "Reason", "Times", "Sites"]
    return table(head, rows, "Answers that did not count", "prose")


def _named(sites: list[str]) -> str:
    distinct = sorted(set(sites))
    more = len(distinct) - _NAMED_SITES
    return ", ".join(distinct[:_NAMED_SITES]) + (f" and {more} more" if more > 0 else "")


def statistics(results: Results) -> Html:
    """The clinical variables, their federated correlations with the lesion types, and which were selected."""
    correlations = section(results, "statistics", "correlations")
    selected = [str(name) for name in at(results, "statistics", "selected") or []]
    parts = []
    if selected:
        text = f"{len(selected)} clinical variables were selected by their correlation with a lesion type: "
        parts.append(paragraph(text + ", ".join(map(_said, selected)) + "."))
    if correlations:
        # a type without a lesion in these cohorts correlates with nothing
        types = [kind for kind in LESION_TYPES if any(number(row.get(kind)) for row in correlations.values())]
        rows = [_correlation_row(name, row, types, name in selected) for name, row in correlations.items()]
        parts.append(table(["Variable", *types], rows, "Correlation over all sites; bold: selected"))
    return html_section("statistics", "Statistics", parts)


def _correlation_row(name: str, row: Mapping[str, Any], types: list[str], selected: bool) -> list[Cell]:
    title = tag("span", _said(name), "best") if selected else escaped(_said(name))
    return [title, *(cells.shaded(number(row.get(kind)), selected) for kind in types)]


def _said(variable: str) -> str:
    return variable.replace("_", " ")


def provenance(results: Results) -> Html:
    """What made these numbers: versions, plan, seed, time and memory, and the digest of every net."""
    computed = section(results, "computed_with")
    facts = [(label, at(results, key)) for key, label in _FACTS.items()]
    facts += [(label, at(computed, key)) for key, label in _COMPUTED_WITH.items()]
    rows: list[list[Cell]] = [[label, tag("code", str(value))] for label, value in facts if value is not None]
    parts = [table(["", ""], rows, "The run", "digest")] if rows else []
    stages = section(results, "stages")
    if stages:
        times = [[name, *_spent(stage)] for name, stage in stages.items()]
        total = sum(number(at(stage, "seconds")) or 0.0 for stage in stages.values())
        times.append(["All", f"{total:.1f}", ""])
        parts.append(table(["Stage", "Seconds", "Peak memory, MB"], times, "Wall time and peak memory"))
    digests = section(results, "digests")
    if digests:
        nets: list[list[Cell]] = [[net, tag("code", str(digest))] for net, digest in digests.items()]
        parts.append(table(["Net", "SHA-256 of its weights"], nets, "Digests of the final nets", "digest"))
    return html_section("provenance", "Provenance", parts)


_FACTS: Mapping[str, str] = {
    "fedceus": "fedceus",
    "plan": "Plan",
    "plan_digest": "Plan's digest",
    "seed": "Seed",
    "link": "Link",
    "workers": "Workers",
}
_COMPUTED_WITH: Mapping[str, str] = {
    "processor": "Processor",
    "pinned": "Instructions pinned",
    "torch_instructions": "Instructions of torch",
    "onednn_instructions": "Instructions of oneDNN",
    "torch_threads": "Threads of torch",
    "torch": "torch",
    "numpy": "numpy",
    "opencv": "OpenCV",
}


def _spent(stage: Any) -> list[str]:
    seconds, memory = number(at(stage, "seconds")), number(at(stage, "peak_memory_mb"))
    return [
        cells.DASH if seconds is None else f"{seconds:.1f}",
        cells.DASH if memory is None else f"{memory:,.0f}",
    ]
