"""The report's section on privacy: what was spent, and what sites held back."""

from __future__ import annotations

from collections.abc import Mapping

from server.report import cells
from server.report.html import Cell, Html, paragraph, section, table
from server.report.values import Results, at, number
from server.report.values import section as part


def privacy(results: Results) -> Html:
    """ε by site where training was private, else that it was not; nothing for results without any site."""
    if not at(results, "participation"):
        return Html("")
    spent = {site: found for site, found in part(results, "privacy").items() if isinstance(found, Mapping)}
    text = (
        "What left a site are sums: counts, moments and changes of weights. No lesion's probability, picture or id is "
        "in any of them, and no reader's name; below a site's own minimum cell nothing is counted."
    )
    if not spent:
        text += " No noise was added in this study: it gives no guarantee of differential privacy."
        return section("privacy", "Privacy", [paragraph(text), _held_back(results)])
    rows: list[list[Cell]] = [[site, _epsilon(at(found, "epsilon"))] for site, found in spent.items()]
    return section("privacy", "Privacy", [paragraph(text), table(["Site", "ε spent"], rows), _held_back(results)])


def _epsilon(raw: object) -> str:
    value = number(raw)
    return cells.DASH if value is None else f"{value:.3g}"


def _held_back(results: Results) -> Html:
    """Values of subgroups that sites left out, over all cohorts and models."""
    held = 0
    for place, nets in part(results, "subgroups").items():
        if place.endswith("_tests"):
            continue  # a pool says its cohorts' again
        most = [sum(int(number(n) or 0) for n in part(found, "withheld").values()) for found in nets.values()]
        held += max(most, default=0)
    return paragraph(f"Values of subgroups that sites held back below their minimum cell: {held}.", "note")
