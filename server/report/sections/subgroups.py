"""The report's section on subgroups: accuracy of the full model in each, as forest plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.study.subgroups import VARIABLE_TITLES
from ceus_models.study.taxonomy import FUSION_NETS, TEST_COHORTS
from server.report import cells
from server.report.cells import Row
from server.report.figures.plain_data import render_figure
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Results, estimate, lookup, number, section

SHOWN = tuple(name for name in VARIABLE_TITLES if name != "malignancy_history")
"""The study's eight."""
_HALVES = (SHOWN[:5], SHOWN[5:])
_HIDDEN = "suppressed"


def subgroups(results: Results) -> dict[str, Any]:
    """A forest plot over all test sets, the cohorts below it, and how much is suppressed."""
    nets = {place: net for place in ("all_tests", *TEST_COHORTS) if (net := _net(results, place))}
    if not nets:
        return {}
    found = {place: section(results, "subgroups", place, net) for place, net in nets.items()}
    first = next(iter(found.values()))
    held = {VARIABLE_TITLES[name]: int(number(n) or 0) for name, n in section(first, "withheld").items()}
    return {
        "places": [(PLACE_TITLES[place], list(_plots(place, nets[place], found[place]))) for place in nets],
        "rows": list(_rows(first)),
        "gaps": list(_gap_rows(results, nets)),
        "confirmed": list(_confirmed_rows(results, nets)),
        "models": [CLASSIFIER_TITLES[net] for net in FUSION_NETS],
        "suppressed": int(number(lookup(first, "suppressed")) or 0),
        "held_back": ", ".join(f"{name.lower()} {n}" for name, n in held.items() if n),
    }


def _net(results: Results, place: str) -> str | None:
    """The fullest model that was counted by subgroup."""
    return next((net for net in reversed(FUSION_NETS) if lookup(results, "subgroups", place, net)), None)


def _plots(place: str, net: str, found: Mapping[str, Any]) -> Iterator[str]:
    for half, variables in enumerate(_HALVES):
        data = _forest(net, found, variables)
        if any(point["value"] is not None for point in data["points"]):
            title = f"Accuracy by subgroup: {PLACE_TITLES[place]}, part {half + 1}"
            yield render_figure(f"forest-{place}-{half}", title, data)


def _forest(net: str, found: Mapping[str, Any], variables: tuple[str, ...]) -> dict[str, Any]:
    points = []
    for variable in variables:
        for value, raw in section(found, "variables", variable).items():
            one = estimate(raw)
            size = "" if one is None or one.n is None else f" (n = {one.n})"
            points.append(
                {
                    "group": VARIABLE_TITLES[variable],
                    "label": f"{value}{size}",
                    "value": None if one is None else one.value,
                    "low": None if one is None else one.low,
                    "high": None if one is None else one.high,
                    "look": 0,
                    "missing": _HIDDEN,
                }
            )
    title = f"Accuracy of {CLASSIFIER_TITLES.get(net, net).replace('M', 'm')}, 95 % interval"
    overall = estimate(lookup(found, "all"))
    line = None if overall is None else {"value": overall.value, "label": "all"}
    return {"kind": "intervals", "xlabel": title, "points": points, "line": line}


def _rows(found: Mapping[str, Any]) -> Iterator[Row]:
    for variable in SHOWN:
        for value, raw in section(found, "variables", variable).items():
            one = estimate(raw)
            size = _HIDDEN if lookup(raw, "suppressed") else cells.format_lesions(None if one is None else one.n)
            yield [f"{VARIABLE_TITLES[variable]}: {value}", size, cells.format_value(one)]


def _gap_rows(results: Results, nets: Mapping[str, str]) -> Iterator[Row]:
    """The largest gap of each variable over the first place, which is the widest."""
    place, net = next(iter(nets.items()))
    for variable, one in section(results, "gaps", place, net).items():
        found = [one, section(one, "adjusted")]
        both = [cells.format_difference(estimate(lookup(side, "difference"))) for side in found]
        names = [" over ".join(str(lookup(side, key)) for key in ("highest", "lowest")) for side in found if side]
        pairs = str(lookup(one, "pairs"))
        yield [VARIABLE_TITLES[variable], names[0], both[0], *(names[1:] or [cells.DASH]), both[1], pairs]


def _confirmed_rows(results: Results, nets: Mapping[str, str]) -> Iterator[Row]:
    """Every model on the lesions whose type pathology confirmed, and on the others, which were followed up."""
    for place in nets:
        for value, title in (("yes", "by pathology"), ("no", "otherwise")):
            by_net = [
                section(results, "subgroups", place, net, "variables", "pathology_confirmed", value)
                for net in FUSION_NETS
            ]
            known = [estimate(one) for one in by_net]
            if any(known):
                size = max(found.n or 0 for found in known if found is not None)
                yield [f"{PLACE_TITLES[place]}, {title}", cells.format_lesions(size), *map(cells.format_value, known)]
