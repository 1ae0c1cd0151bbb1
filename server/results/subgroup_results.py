"""Accuracy by subgroup, the rows of Table 1, and accuracy by site, where sites allow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.subgroups import SUBGROUPS, small, spans
from ceus_models.study.taxonomy import BIOMARKERS
from server.results.intervals import number, share
from server.results.metrics import Ints

SMALLEST_CELL = 5
"""Smaller subgroups of the whole study are suppressed, whatever the sites' own minimum."""


def subgroups_of(total: State, cohort: str, net: str) -> dict[str, Any] | None:
    """Summarize accuracy by subgroup; None if the net was not counted by subgroup on the cohort (or pool).

    Returns:
        `variables`: {variable: {value: estimate}}, a suppressed value with nulls and `suppressed`: true. `all`: the
        estimate over all lesions. `suppressed`: number of such values. `withheld`: by variable, the number of values
        that sites withheld.
    """
    name = f"{cohort}|{net}|"
    if f"{name}groups" not in total:
        return None
    groups = total[f"{name}groups"].numpy()  # (1+R cells 2)
    found: dict[str, Any] = {}
    suppressed = 0
    for variable, span in spans().items():
        own = groups[:, span]
        few = small(own[0, :, 0], SMALLEST_CELL)
        suppressed += int(few.sum())
        found[variable] = {
            value: _hidden() if few[place] else share(own[:, place, 1], own[:, place, 0])
            for place, value in enumerate(SUBGROUPS[variable])
            if own[0, place, 0]
        }
    withheld = dict(zip(SUBGROUPS, total[f"{name}withheld"].tolist(), strict=True))
    confusion = total[f"{name}confusion"].numpy()
    whole = share(np.trace(confusion, axis1=1, axis2=2), confusion.sum((1, 2)))
    return {"all": whole, "variables": found, "suppressed": suppressed, "withheld": withheld}


def table_one(total: State, cohort: str, nets: Sequence[str]) -> dict[str, Any] | None:
    """Count a cohort's lesions by each variable, from the tally or an evaluation; None without either."""
    lesions = _lesions(total, cohort, nets)
    if lesions is None:
        return None
    rows = {
        variable: {value: int(n) for value, n in zip(SUBGROUPS[variable], lesions[span].tolist(), strict=True) if n}
        for variable, span in spans().items()
    }
    tested = total.get(f"{cohort}|biomarkers")
    if tested is not None:
        rows["biomarkers"] = dict(zip(BIOMARKERS, tested.sum(1).tolist(), strict=True))
    return rows


def _lesions(total: State, cohort: str, nets: Sequence[str]) -> Ints | None:
    if f"{cohort}|groups" in total:
        return np.asarray(total[f"{cohort}|groups"].numpy())
    counted = [total[name].numpy()[0, :, 0] for net in nets if (name := f"{cohort}|{net}|groups") in total]
    return np.asarray(max(counted, key=lambda lesions: lesions.sum())) if counted else None


def sites_of(total: State, cohort: str, net: str) -> dict[str, Any]:
    """Accuracy of each site that allows it: lesions, correct ones and their share."""
    found = {}
    for name, own in total.items():
        if name.endswith(f"|{cohort}|{net}|own"):
            n, right = own.tolist()
            if n:
                found[name.removesuffix(f"|{cohort}|{net}|own")] = {"n": n, "right": right, "value": number(right / n)}
    return dict(sorted(found.items()))


def _hidden() -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "n": None, "suppressed": True}
