"""Table 1 of the reference study as counts, which the simulated cohorts must have.

Ding et al., J Hepatol 2025;83:426-439. Lesions per cohort, in the order of `ceus_models.study.taxonomy.COHORTS`.
Bands that share a boundary in print are read as: "50-60" holds both ends, ">60" starts at 61 years; "3-5" holds
both ends, "5-10" starts at 5.1 cm and holds 10.0, ">10" starts at 10.1 cm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceus_models.study.taxonomy import COHORTS

TOTAL_PATIENTS = 3342
TOTAL_DEVICES = 226
CENTERS = tuple(range(1, 53))


@dataclass(frozen=True)
class Bands:
    """Named half-open bands of an integer scale: band k is [edges[k-1], edges[k]), from `low` to `high`.

    `step` is the scale's unit in canonical units (1 year, 0.1 cm); `log` says whether the scale is logarithmic.
    """

    names: tuple[str, ...]
    edges: tuple[int, ...]
    low: int
    high: int
    step: float
    log: bool

    def find_band(self, value: float) -> str:
        """The band of a value in canonical units.

        >>> AGE_YEARS.find_band(60.0), TUMOR_SIZE_CM.find_band(5.1)
        ('50-60', '5-10')
        """
        return self.names[sum(round(value / self.step, 6) >= edge for edge in self.edges)]


AGE_YEARS = Bands(("<50", "50-60", ">60"), (50, 61), 18, 95, 1.0, False)
TUMOR_SIZE_CM = Bands(("<3", "3-5", "5-10", ">10"), (30, 51, 101), 11, 200, 0.1, True)

_LESIONS = (2088, 592, 234, 110, 113, 276, 312)
_TABLE1: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "fll_type": {
        "HCC": (1122, 315, 128, 60, 56, 120, 134),
        "HM": (643, 169, 45, 24, 23, 67, 72),
        "ICC": (126, 36, 15, 7, 6, 16, 28),
        "HH": (103, 34, 12, 4, 10, 31, 31),
        "HA": (94, 38, 18, 8, 11, 23, 25),
        "OT": (0, 0, 16, 7, 7, 19, 22),
    },
    "age_years": {
        "<50": (590, 150, 34, 17, 27, 57, 66),
        "50-60": (732, 219, 83, 37, 35, 98, 118),
        ">60": (766, 223, 117, 56, 51, 121, 128),
    },
    "sex": {
        "male": (1515, 410, 157, 77, 80, 192, 225),
        "female": (573, 182, 77, 33, 33, 84, 87),
    },
    "viral_hepatitis_history": {
        "no": (952, 249, 109, 55, 53, 139, 155),
        "yes": (1136, 343, 125, 55, 60, 137, 157),
    },
    "malignancy_history": {
        "no": (1232, 363, 153, 71, 76, 179, 205),
        "yes": (856, 229, 81, 39, 37, 97, 107),
    },
    "tumor_size_cm": {
        "<3": (457, 127, 46, 32, 28, 53, 72),
        "3-5": (835, 269, 120, 42, 39, 100, 99),
        "5-10": (624, 157, 52, 27, 33, 88, 103),
        ">10": (172, 39, 16, 9, 13, 35, 38),
    },
}
# Lesions with an immunohistochemical result; the study gives them for these two cohorts only.
_BIOMARKERS: Mapping[str, Mapping[str, int]] = {
    "training_a": {"any": 624, "Hep": 499, "GPC3": 436, "CK7": 513, "CK19": 550},
    "validation": {"any": 181, "Hep": 135, "GPC3": 109, "CK7": 130, "CK19": 123},
}

LESIONS: Mapping[str, int] = dict(zip(COHORTS, _LESIONS, strict=True))
"""Lesions per cohort: 3,725 in all."""
TABLE1: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    cohort: {row: {band: counts[i] for band, counts in bands.items()} for row, bands in _TABLE1.items()}
    for i, cohort in enumerate(COHORTS)
}
"""cohort -> row of Table 1 -> band -> lesions."""
BIOMARKER_SHARES: Mapping[str, Mapping[str, float]] = {
    # Elsewhere the share of training A: the study does not print it.
    cohort: {name: n / LESIONS[source] for name, n in _BIOMARKERS[source].items()}
    for cohort in COHORTS
    for source in ("validation" if cohort == "validation" else "training_a",)
}
"""cohort -> "any" or a biomarker -> share of the lesions that have a result."""
