"""The report's section on privacy: what was spent, and what sites held back."""

from __future__ import annotations

from typing import Any

from server.report import cells
from server.report.values import Results, lookup, number, section

LEVELS = {
    "none": "each site's own sums",
    "sums": "totals over sites only; a crafted question can still show a patient in one",
    "distributed": "totals over sites, with noise that hides each patient",
    "local": "each site's sums, with the whole noise of its own",
}
"""What the coordinator saw at each level."""


def privacy(results: Results) -> dict[str, Any]:
    """Levels by stage, and ε by cohort where there was noise; nothing for results without any site."""
    if not lookup(results, "participation"):
        return {}
    found = section(results, "privacy")
    rows = [
        [cohort, *(cells.format_decimal(number(lookup(costs, name)), ".3g") for name in ("epsilon", "own_epsilon"))]
        for cohort, costs in section(found, "cohorts").items()
    ]
    levels = [[stage, level, LEVELS[level]] for stage, level in section(found, "levels").items() if level in LEVELS]
    return {"spent": rows, "delta": found.get("delta"), "levels": levels, "held_back": _held_back(results)}


def _held_back(results: Results) -> int:
    """Tables of subgroups, a site and variable each, with values left out, over all cohorts."""
    held = 0
    for place, nets in section(results, "subgroups").items():
        if place.endswith("_tests"):
            continue  # a pool says its cohorts' again
        most = [sum(int(number(n) or 0) for n in section(found, "withheld").values()) for found in nets.values()]
        held += max(most, default=0)
    return held
