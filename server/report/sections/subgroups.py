"""The report's section on subgroups: accuracy of the full model in each, as forest plots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ceus_models.study.taxonomy import FUSION_NETS, TEST_COHORTS
from server.report import cells
from server.report import csv_tables as numbers
from server.report.figures.plain_data import drawn
from server.report.html import Cell, Html, details, figure, grid, paragraph, section, table, tag
from server.report.sections.cohorts import VARIABLE_TITLES
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Results, at, estimate, number
from server.report.values import section as part

SHOWN = tuple(name for name in VARIABLE_TITLES if name != "malignancy_history")
"""The study's eight."""
_HALVES = (SHOWN[:5], SHOWN[5:])
_HIDDEN = "suppressed"


def subgroups(results: Results) -> Html:
    """A forest plot over all test sets, the cohorts below it, and how much is suppressed."""
    found = part(results, "subgroups")
    places = [place for place in ("all_tests", *TEST_COHORTS) if _net(found, place)]
    if not places:
        return Html("")
    first = places[0]
    parts = [tag("h3", PLACE_TITLES[first]), grid(_plots(results, first), "wide"), _numbers(results, first)]
    parts += [details(PLACE_TITLES[place], grid(_plots(results, place), "wide")) for place in places[1:]]
    return section("subgroups", "Subgroups", [*parts, _said(results, places), numbers.download(results, "subgroups")])


def _net(found: object, place: str) -> str | None:
    """The fullest model that was counted by subgroup."""
    return next((net for net in reversed(FUSION_NETS) if at(found, place, net)), None)


def _plots(results: Results, place: str) -> Iterator[Html]:
    for half, variables in enumerate(_HALVES):
        data = _forest(results, place, variables)
        if data["points"]:
            title = f"Accuracy by subgroup: {PLACE_TITLES[place]}, part {half + 1}"
            yield figure(drawn(f"forest-{place}-{half}", title, data))


def _forest(results: Results, place: str, variables: tuple[str, ...]) -> dict[str, Any]:
    net = _net(part(results, "subgroups"), place) or ""
    points = []
    for variable in variables:
        for value, raw in part(results, "subgroups", place, net, "variables", variable).items():
            found = estimate(raw)
            size = "" if found is None or found.n is None else f" (n = {found.n})"
            points.append(
                {
                    "group": VARIABLE_TITLES[variable],
                    "label": f"{value}{size}",
                    "value": None if found is None else found.value,
                    "low": None if found is None else found.low,
                    "high": None if found is None else found.high,
                    "look": 0,
                    "missing": _HIDDEN,
                }
            )
    title = f"Accuracy of {CLASSIFIER_TITLES.get(net, net).replace('M', 'm')}, 95 % interval"
    overall = estimate(at(results, "subgroups", place, net, "all"))
    line = None if overall is None else {"value": overall.value, "label": "all"}
    return {"kind": "intervals", "xlabel": title, "points": points, "line": line}


def _numbers(results: Results, place: str) -> Html:
    net = _net(part(results, "subgroups"), place) or ""
    rows: list[list[Cell]] = []
    for variable in SHOWN:
        for value, raw in part(results, "subgroups", place, net, "variables", variable).items():
            found = estimate(raw)
            size: Cell = _HIDDEN if at(raw, "suppressed") else cells.lesions(None if found is None else found.n)
            rows.append([f"{VARIABLE_TITLES[variable]}: {value}", size, cells.value(found)])
    return details(f"{PLACE_TITLES[place]} in numbers", table(["Subgroup", "Lesions", "Accuracy"], rows))


def _said(results: Results, places: list[str]) -> Html:
    net = _net(part(results, "subgroups"), places[0]) or ""
    found = at(results, "subgroups", places[0], net)
    few = int(number(at(found, "suppressed")) or 0)
    held = {VARIABLE_TITLES[name]: int(number(n) or 0) for name, n in part(found, "withheld").items()}
    by_site = ", ".join(f"{name.lower()} {n}" for name, n in held.items() if n)
    text = f"{PLACE_TITLES[places[0]]}: {few} subgroups of fewer than five lesions are suppressed here"
    text += (
        f"; sites held back values below their own minimum cell: {by_site}." if by_site else "; no site held any back."
    )
    return paragraph(f"{text} Intervals are not corrected for their number.", "note")
