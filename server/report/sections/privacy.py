"""The report's section on privacy: what was spent, and what sites held back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.report import cells
from server.report.values import Results, lookup, number, section


def privacy(results: Results) -> dict[str, Any]:
    """ε by site where training was private, else none; nothing for results without any site."""
    if not lookup(results, "participation"):
        return {}
    spent = section(results, "privacy").items()
    rows = [
        [site, cells.format_decimal(number(lookup(found, "epsilon")), ".3g")]
        for site, found in spent
        if isinstance(found, Mapping)
    ]
    return {"spent": rows, "held_back": _held_back(results)}


def _held_back(results: Results) -> int:
    """Tables of subgroups, a site and variable each, with values left out, over all cohorts."""
    held = 0
    for place, nets in section(results, "subgroups").items():
        if place.endswith("_tests"):
            continue  # a pool says its cohorts' again
        most = [sum(int(number(n) or 0) for n in section(found, "withheld").values()) for found in nets.values()]
        held += max(most, default=0)
    return held
