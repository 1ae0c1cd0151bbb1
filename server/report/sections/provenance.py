"""The report's sections on origin: participation, statistics, what made the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from ceus_models.study.taxonomy import LESION_TYPES
from server.report import cells
from server.report.cells import Cell, Row
from server.report.figures.training import participation_figure
from server.report.values import Results, count_items, lookup, number, section

_NAMED_SITES = 6
_COUNTS = ("registered", "asked", "answered", "counted")
_FACTS: Mapping[str, str] = {
    "fedceus": "fedceus",
    "plan": "Plan",
    "plan_digest": "Plan's digest",
    "seed": "Seed",
    "link": "Link",
    "workers": "Workers",
}


def participation(results: Results) -> dict[str, Any]:
    """Who was asked and who answered, what was turned away and why, and the cases that sites skipped."""
    entries = [entry for entry in lookup(results, "participation") or [] if isinstance(entry, Mapping)]
    skipped = section(results, "skipped")
    return {
        "stages": list(_stage_rows(entries)),
        "drawing": participation_figure(results) if entries else None,
        "turned_away": _list_turned_away(entries),
        "skipped": [[reason, cells.format_count(count_items(count))] for reason, count in sorted(skipped.items())],
        "none_skipped": lookup(results, "skipped") is not None and not skipped,
    }


def _stage_rows(entries: list[Mapping[str, Any]]) -> Iterator[Row]:
    for stage in dict.fromkeys(str(entry.get("stage")) for entry in entries):
        rounds = [entry for entry in entries if str(entry.get("stage")) == stage]
        counts = [[count_items(entry[key]) for entry in rounds if entry.get(key) is not None] for key in _COUNTS]
        means = [f"{fmean(row):.1f}".removesuffix(".0") if row else cells.DASH for row in counts]
        seconds = [found for entry in rounds if (found := number(entry.get("seconds"))) is not None]
        total = cells.format_decimal(sum(seconds) if seconds else None, ".1f")
        yield [stage, str(len(rounds)), *means, total, *_format_traffic(rounds)]


def _format_traffic(rounds: list[Mapping[str, Any]]) -> Iterator[str]:
    """MB to and from a site in a round, on average over the training rounds, or all where there are none."""
    chosen = [entry for entry in rounds if entry.get("kind") == "train"] or rounds
    asked = sum(count_items(entry["asked"]) for entry in chosen if entry.get("asked") is not None)
    for way in ("sent", "received"):
        sizes = [found for entry in chosen if (found := number(entry.get(way))) is not None]
        yield cells.format_decimal(sum(sizes) / asked / 1e6 if sizes and asked else None, ",.3f")


def _list_turned_away(entries: list[Mapping[str, Any]]) -> list[Row]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for entry in entries:
        for outcome in ("refused", "excluded", "lost"):
            for site, reason in section(entry, outcome).items():
                found.setdefault((str(entry.get("stage")), outcome, str(reason)), []).append(str(site))
    return [
        [
            stage,
            outcome,
            Cell(reason, kind="text"),
            Cell(str(len(sites)), kind="n"),
            Cell(_format_sites(sites), kind="text"),
        ]
        for (stage, outcome, reason), sites in found.items()
    ]


def _format_sites(sites: list[str]) -> str:
    distinct = sorted(set(sites))
    more = len(distinct) - _NAMED_SITES
    return ", ".join(distinct[:_NAMED_SITES]) + (f" and {more} more" if more > 0 else "")


def statistics(results: Results) -> dict[str, Any]:
    """The clinical variables, their federated correlations with the lesion types, and which were selected."""
    correlations = section(results, "statistics", "correlations")
    selected = [str(name) for name in lookup(results, "statistics", "selected") or []]
    # a type without a lesion in these cohorts correlates with nothing
    types = [kind for kind in LESION_TYPES if any(number(row.get(kind)) for row in correlations.values())]
    return {
        "selected": [_readable(name) for name in selected],
        "types": types,
        "rows": [_correlation_row(name, row, types, name in selected) for name, row in correlations.items()],
    }


def _correlation_row(name: str, row: Mapping[str, Any], types: list[str], selected: bool) -> Row:
    title = Cell(_readable(name), kind="strong" if selected else "")
    return [title, *(cells.format_correlation(number(row.get(kind)), selected) for kind in types)]


def _readable(variable: str) -> str:
    return variable.replace("_", " ")


def provenance(results: Results) -> dict[str, Any]:
    """What made these numbers: versions, plan, seed, time and memory, and the digest of every net."""
    stages = section(results, "stages")
    computed = section(results, "computed_with")
    facts = [(label, lookup(results, key)) for key, label in _FACTS.items()]
    facts += [(label, lookup(computed, key)) for key, label in _COMPUTED_WITH.items()]
    facts += [
        ("Software of a site", f"{software}: {_format_sites(names)}") for software, names in _list_software(results)
    ]
    total = sum(number(lookup(stage, "seconds")) or 0.0 for stage in stages.values())
    return {
        "facts": [[label, str(value)] for label, value in facts if value is not None],
        "stages": [[name, *_format_cost(stage)] for name, stage in stages.items()],
        "total": f"{total:.1f}",
        "digests": [[net, str(digest)] for net, digest in section(results, "digests").items()],
    }


def _list_software(results: Results) -> Iterator[tuple[str, list[str]]]:
    """What the sites stated in hello, the same software once."""
    runs: dict[str, list[str]] = {}
    for entry in lookup(results, "participation") or []:
        for site, software in section(entry, "software").items() if isinstance(entry, Mapping) else ():
            runs.setdefault(str(software), []).append(str(site))
    yield from runs.items()


_COMPUTED_WITH: Mapping[str, str] = {
    "processor": "Processor",
    "pinned": "Instructions pinned",
    "torch_instructions": "Instructions of torch",
    "onednn_instructions": "Instructions of oneDNN",
    "torch_threads": "Threads of torch",
    "torch": "torch",
    "numpy": "numpy",
    "opencv": "OpenCV",
    "pyav": "PyAV",
    "ffmpeg": "FFmpeg",
}


def _format_cost(stage: Any) -> list[str]:
    seconds, memory = number(lookup(stage, "seconds")), number(lookup(stage, "peak_memory_mb"))
    return [cells.format_decimal(seconds, ".1f"), cells.format_decimal(memory, ",.0f")]
