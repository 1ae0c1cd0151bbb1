"""Accuracy by subgroup, the rows of Table 1, and accuracy by site, where sites allow it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.subgroups import SUBGROUPS, build_slices
from ceus_models.study.suppression import find_small_cells
from ceus_models.study.taxonomy import BIOMARKERS
from server.results.evaluation import estimate_accuracy
from server.results.intervals import estimate_share
from server.results.metrics import ratio
from server.results.replicates import Resampling

SMALLEST_CELL = 5
"""Smaller subgroups of the whole study are suppressed, whatever the sites' own minimum."""


def summarize_subgroups(total: State, cohort: str, net: str, resampling: Resampling) -> dict[str, Any] | None:
    """Summarize accuracy by subgroup; None if the net was not counted by subgroup on the cohort (or pool).

    Returns:
        `variables`: {variable: {value: estimate}}, a suppressed value with nulls and `suppressed`: true. `all`: the
        estimate over all lesions. `suppressed`: number of such values. `withheld`: by variable, the number of sites
        that withheld some of its values.
    """
    name = f"{cohort}|{net}|"
    if f"{name}groups" not in total:
        return None
    lesions, right = total[f"{name}groups"].numpy().T  # (cells) each
    found: dict[str, Any] = {}
    suppressed = 0
    for variable, span in build_slices().items():
        counted, of = right[span], lesions[span]
        few = find_small_cells(lesions[span], SMALLEST_CELL)
        suppressed += int(few.sum())
        found[variable] = {
            value: _make_suppressed() if few[place] else estimate_share(counted[place], of[place], resampling)
            for place, value in enumerate(SUBGROUPS[variable])
            if of[place]
        }
    withheld = dict(zip(SUBGROUPS, total[f"{name}withheld"].tolist(), strict=True))
    whole = estimate_accuracy(total[f"{name}confusion"].numpy(), resampling)
    return {"all": whole, "variables": found, "suppressed": suppressed, "withheld": withheld}


def expect_by_types(total: State, place: str, net: str) -> dict[str, dict[str, float]]:
    """The accuracy that the types of a group's lesions give a net, each type being as well known there as overall.

    Of the lesions whose types are counted by group: sites show such a table whole or not at all.

    Returns:
        Variable → value → expected accuracy, of values with such lesions.
    """
    if f"{place}|mix" not in total:
        return {}
    confusion = total[f"{place}|{net}|confusion"].numpy().astype(np.float64)
    recall = ratio(np.diagonal(confusion), confusion.sum(1), empty=0.0)  # (types)
    mix = total[f"{place}|mix"].numpy()[:, : len(recall)] * (confusion.sum(1) > 0)
    lesions = mix.sum(1)
    return {
        variable: {
            value: float(mix[cell] @ recall / lesions[cell])
            for value, cell in zip(SUBGROUPS[variable], range(span.start, span.stop), strict=True)
            if lesions[cell]
        }
        for variable, span in build_slices().items()
    }


def build_table_one(total: State, cohort: str) -> dict[str, Any] | None:
    """Count a cohort's lesions by each variable, from a tally or an evaluation; None without either."""
    if f"{cohort}|groups" not in total:
        return None
    lesions = total[f"{cohort}|groups"].numpy()
    rows = {
        variable: {value: int(n) for value, n in zip(SUBGROUPS[variable], lesions[span].tolist(), strict=True) if n}
        for variable, span in build_slices().items()
    }
    tested = total.get(f"{cohort}|biomarkers")
    if tested is not None:
        rows["biomarkers"] = dict(zip(BIOMARKERS, tested.sum(1).tolist(), strict=True))
    return rows


def summarize_sites(total: State, cohort: str, net: str, resampling: Resampling) -> dict[str, Any]:
    """Accuracy of each site that allows it as {value, low, high, n, right}."""
    found = {}
    for name, own in total.items():
        if name.endswith(f"|{cohort}|{net}|own"):
            n, right = own.tolist()
            if n:
                site = name.removesuffix(f"|{cohort}|{net}|own")
                found[site] = estimate_share(right, n, resampling) | {"right": right}
    return dict(sorted(found.items()))


def _make_suppressed() -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "n": None, "suppressed": True}
