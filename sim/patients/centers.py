"""The 52-center split: the number of lesions by center, cohort and type.

The split does not depend on a study's seed. At the study's own size every count of cohorts, types and biomarkers is the
published one; smaller splits are proportional, by largest remainder.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Literal

import numpy as np

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.subgroups import MANUFACTURERS
from ceus_models.study.taxonomy import BIOMARKERS, COHORTS, LESION_TYPES
from sim.patients.study_table import (
    BIOMARKER_SHARES,
    CENTERS,
    LESIONS,
    TABLE1,
    TOTAL_DEVICES,
    TOTAL_PATIENTS,
)
from sim.patients.table_margins import apportion

Cell = tuple[int, str, str]
"""(center, cohort, lesion type)"""

# Lognormal spreads: 0.62 makes the largest of 36 centers about 15 times the smallest; 0.5 about 5 times in 13.
# The paper gives the sums only. The mix of types differs between centers by a factor of about 1.4.
_SIZE_SPREAD = {"1-36": 0.62, "37-49": 0.5}
_MIX_SPREAD = 0.35
# Shares of the Chinese market as a prior: the paper gives the number of makers and of devices only.
_MAKER_SHARES = dict(zip(MANUFACTURERS, (19, 17, 14, 10, 19, 7, 6, 5, 3), strict=True))


@dataclass(frozen=True)
class Split:
    """Counts of a simulated study.

    Args:
        scale: "paper" or "custom".
        cells: (center, cohort, type) → lesions, without zeros.
        patients: cohort → patients.
        results: cohort → "any" or a biomarker → lesions with an immunohistochemical result.
        margins: cohort → row of Table 1 → band → lesions.
    """

    scale: str
    cells: Mapping[Cell, int]
    patients: Mapping[str, int]
    results: Mapping[str, Mapping[str, int]]
    margins: Mapping[str, Mapping[str, Mapping[str, int]]]

    @property
    def centers(self) -> tuple[int, ...]:
        """Centers that hold a lesion, ascending."""
        return tuple(sorted({center for center, _, _ in self.cells}))

    def lesions(self, cohort: str) -> int:
        """Lesions of one cohort."""
        return sum(count for (_, name, _), count in self.cells.items() if name == cohort)


def list_centers(cohort: str) -> tuple[int, ...]:
    """The centers that can have lesions of a cohort (see `ceus_models.study.cohorts.assign_cohort`)."""
    single = {"internal_test": (50,), "external_test_a": (51,), "external_test_b": (52,)}
    if cohort in ("training_a", "validation"):
        return tuple(range(1, 37))
    if cohort == "training_b":
        return tuple(range(37, 50))
    return single.get(cohort, CENTERS)


def build_split(lesions: Mapping[str, int] | Literal["paper"], centers: Sequence[int] | None = None) -> Split:
    """The split of a study of the given size.

    Args:
        lesions: cohort → lesions (0 where absent), or "paper" for the study's 3,725.
        centers: that take part, None = all 52.

    Raises:
        ExpectedError: a cohort or center is unknown, a count is negative, or a cohort has no center.

    >>> build_split({"training_a": 60, "internal_test": 6}).lesions("training_a")
    60
    """
    scale = "paper" if lesions == "paper" else "custom"
    sizes = LESIONS if lesions == "paper" else lesions
    taking_part = tuple(CENTERS if centers is None else sorted(set(centers)))
    _check_sizes(sizes, taking_part)
    sizes = {cohort: sizes.get(cohort, 0) for cohort in COHORTS}
    margins = {
        cohort: {row: apportion(sizes[cohort], bands) for row, bands in TABLE1[cohort].items()} for cohort in COHORTS
    }
    cells: dict[Cell, int] = {}
    for cohort in COHORTS:
        eligible = [center for center in list_centers(cohort) if center in taking_part]
        cells |= _spread_lesions(cohort, margins[cohort]["fll_type"], eligible)
    return Split(
        scale=scale,
        cells={cell: count for cell, count in sorted(cells.items()) if count},
        patients=apportion(round(TOTAL_PATIENTS * sum(sizes.values()) / sum(LESIONS.values())), sizes),
        results={cohort: _count_results(sizes[cohort], BIOMARKER_SHARES[cohort]) for cohort in COHORTS},
        margins=margins,
    )


@cache
def draw_devices() -> Mapping[int, tuple[str, ...]]:
    """Center → manufacturer of each ultrasound machine: 226 machines of nine manufacturers, as in the study."""
    # Larger centers have more machines, but not in proportion.
    counts = apportion(TOTAL_DEVICES - len(CENTERS), {c: math.sqrt(_compute_size(c)) for c in CENTERS})
    makers = [maker for maker, n in apportion(TOTAL_DEVICES, _MAKER_SHARES).items() for _ in range(n)]
    drawn = iter(np.random.default_rng(derive_seed("devices")).permutation(makers).tolist())
    return {center: tuple(next(drawn) for _ in range(counts[center] + 1)) for center in CENTERS}


def _check_sizes(sizes: Mapping[str, int], centers: Sequence[int]) -> None:
    faults = [f"expected a cohort of {', '.join(COHORTS)}, found {name!r}" for name in sizes if name not in COHORTS]
    faults += [f"expected a center from 1 to 52, found {center}" for center in centers if center not in CENTERS]
    faults += [f"expected 0 or more lesions in {name}, found {count}" for name, count in sizes.items() if count < 0]
    faults += [
        f"expected a center for the {count} lesions of {name}, none takes part; "
        f"add one of {_format_range(list_centers(name))}"
        for name, count in sizes.items()
        if name in COHORTS and count > 0 and not set(centers) & set(list_centers(name))
    ]
    if not sum(sizes.values()):
        faults.append("expected at least one lesion, found none")
    if faults:
        raise ExpectedError("split: " + "; ".join(faults))


def _format_range(centers: Sequence[int]) -> str:
    return str(centers[0]) if len(centers) == 1 else f"{centers[0]}-{centers[-1]}"


@cache
def _compute_size(center: int) -> float:
    """Expected number of lesions of a center at the study's size, without the prospective year."""
    for cohort in ("internal_test", "external_test_a", "external_test_b"):
        if center in list_centers(cohort):
            return float(LESIONS[cohort])
    first, last = (1, 36) if center <= 36 else (37, 49)
    group = f"{first}-{last}"
    count = last - first + 1
    # Lognormal quantiles in a fixed random order of the centers, so that number and size are unrelated.
    ranks = np.random.default_rng(derive_seed("center sizes", group)).permutation(count)
    quantiles = [NormalDist().inv_cdf((rank + 0.5) / count) for rank in ranks.tolist()]
    weights = [math.exp(_SIZE_SPREAD[group] * quantile) for quantile in quantiles]
    lesions = LESIONS["training_b"] if group == "37-49" else LESIONS["training_a"] + LESIONS["validation"]
    return lesions * weights[center - first] / sum(weights)


@cache
def _draw_type_mix(center: int) -> Mapping[str, float]:
    """Relative frequency of each type at a center: hospitals specialise."""
    tilt = np.random.default_rng(derive_seed("center mix", center)).normal(0.0, _MIX_SPREAD, len(LESION_TYPES))
    return dict(zip(LESION_TYPES, np.exp(tilt).tolist(), strict=True))


def _spread_lesions(cohort: str, types: Mapping[str, int], centers: Sequence[int]) -> dict[Cell, int]:
    cells: dict[Cell, int] = {}
    for fll_type, count in types.items():
        weights = {
            (center, cohort, fll_type): _compute_size(center) * _draw_type_mix(center)[fll_type] for center in centers
        }
        cells |= apportion(count, weights)
    if cohort != "validation" and sum(types.values()) >= len(centers):
        for center in centers:
            _give_one_if_empty(cells, center, cohort)
    return cells


def _give_one_if_empty(cells: dict[Cell, int], center: int, cohort: str) -> None:
    """Move one lesion of the largest center's most frequent type to an empty center; sums over centers stay."""
    held: Counter[int] = Counter()
    for (at, _, _), count in cells.items():
        held[at] += count
    if held[center]:
        return
    largest = max(held, key=lambda at: held[at])
    donor = max((cell for cell in cells if cell[0] == largest), key=lambda cell: cells[cell])
    cells[donor] -= 1
    cells[(center, cohort, donor[2])] = 1


def _count_results(lesions: int, shares: Mapping[str, float]) -> dict[str, int]:
    tested = round(lesions * shares["any"])
    per_marker = {name: min(tested, round(lesions * shares[name])) for name in BIOMARKERS}
    return {"any": min(tested, sum(per_marker.values())), **per_marker}
