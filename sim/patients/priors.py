"""Clinical and immunohistochemical priors of each lesion type, as tables.

From published values (the comments name sources) and, where there are none, from domain knowledge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ceus_models.study.taxonomy import LESION_TYPES


@dataclass(frozen=True)
class Lab:
    """Priors of one laboratory value.

    Args:
        of_type: lesion type → median and geometric standard deviation, or mean and standard deviation where `normal`.
        missing: share of patients without the value: tumor markers are ordered less often than a blood count.
        digits: decimal places of a laboratory's report.
        normal: drawn from a normal distribution; the others are lognormal.
    """

    of_type: Mapping[str, tuple[float, float]]
    missing: float
    digits: int
    normal: bool = False


def _by_type(*rows: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return dict(zip(LESION_TYPES, rows, strict=True))


TELLING = 0.7
"""Share of a type's distance from the mixture that its laboratory median keeps: published medians come from series
that were chosen for one disease, and a study's centers differ less."""
_MIX = dict(zip(LESION_TYPES, (1935, 1043, 234, 225, 217, 71), strict=True))
"""Lesions of each type in the study's Table 1."""
_CEA = _by_type((2.4, 1.7), (5, 3.5), (3.6, 2.6), (1.8, 1.6), (2, 1.6), (2, 1.7))


def _pull(median: float, rows: Mapping[str, tuple[float, float]], normal: bool = False) -> float:
    """The published median, nearer to the mixture of the types in `rows`, on the logarithm unless `normal`."""
    scale, back = (float, float) if normal else (math.log, math.exp)
    middle = sum(count * scale(rows[name][0]) for name, count in _MIX.items()) / sum(_MIX.values())
    return back(TELLING * scale(median) + (1 - TELLING) * middle)


def _lab(rows: Mapping[str, tuple[float, float]], missing: float, digits: int, normal: bool = False) -> Lab:
    pulled = {name: (_pull(median, rows, normal), spread) for name, (median, spread) in rows.items()}
    return Lab(pulled, missing, digits, normal)


# Published medians (reference values in docs/decisions.md), before the pull.
LABS: Mapping[str, Lab] = {
    #                        HCC          HM           ICC         HH           HA           OT
    "AFP": _lab(_by_type((33, 23), (2.8, 1.7), (4, 2.8), (2.6, 1.6), (2.4, 1.6), (2.8, 1.8)), 0.06, 2),
    "CEA": _lab(_CEA, 0.10, 2),
    "CA19-9": _lab(_by_type((13, 2.5), (36, 4.5), (42, 7), (9, 2), (14, 2.3), (12, 2.2)), 0.12, 2),
    "CA125": _lab(_by_type((12.5, 2.1), (23.5, 2.6), (30, 2.8), (12, 1.6), (26, 2.2), (14, 2)), 0.20, 1),
    "ALT": _lab(_by_type((41, 1.9), (24, 1.8), (32, 2.1), (20, 1.6), (48, 2.2), (25, 1.8)), 0.05, 0),
    "AST": _lab(_by_type((44, 1.9), (26, 1.8), (34, 2), (20, 1.4), (42, 2.2), (26, 1.8)), 0.06, 0),
    "ALB": _lab(_by_type((38.5, 5.5), (40, 4.5), (39, 5), (43.5, 4), (30, 6.5), (41.5, 5)), 0.07, 1, normal=True),
    "TP": _lab(_by_type((65.5, 7), (71, 6.5), (69, 6.5), (72, 5.5), (65, 7.5), (70, 6.5)), 0.09, 1, normal=True),
    "PLT": _lab(_by_type((140, 1.6), (215, 1.4), (195, 1.45), (225, 1.3), (270, 1.65), (215, 1.4)), 0.06, 0),
    "WBC": _lab(_by_type((5.2, 1.4), (5.9, 1.35), (6.3, 1.4), (5.7, 1.3), (12.5, 1.5), (6, 1.4)), 0.05, 2),
    # recorded everywhere and hardly different between the types: what the selection has to leave out
    "TBIL": _lab(_by_type((15, 1.7), (12, 1.7), (16, 2.3), (12, 1.5), (15, 1.9), (12, 1.6)), 0.05, 1),
    "CREA": _lab(_by_type((69, 1.3), (67, 1.3), (66, 1.3), (65, 1.25), (70, 1.4), (66, 1.3)), 0.05, 0),
    "BMI": _lab(_by_type((23.2, 3.2), (22.9, 3.2), (22.8, 3.2), (23.8, 3.2), (23.9, 3.6), (23.5, 3.3)), 0.10, 1, True),
}
CEA_OF_COLORECTAL = (_pull(18.0, _CEA), 5.0)
CIRRHOSIS_EFFECT: Mapping[str, tuple[str, float]] = {"PLT": ("x", 0.6), "AST": ("x", 1.3), "ALB": ("+", -4.0)}
"""Effect of cirrhosis on a value; mean and spread of the type stay as in LABS."""

# Correlation of laboratory values within a patient of one type [domain knowledge].
LAB_CORRELATIONS: Mapping[tuple[str, str], float] = {
    ("ALT", "AST"): 0.75,
    ("ALB", "TP"): 0.5,
    ("AST", "ALB"): -0.2,
    ("PLT", "WBC"): 0.3,
    ("CEA", "CA19-9"): 0.3,
    ("CA19-9", "CA125"): 0.3,
}


@dataclass(frozen=True)
class TypePrior:
    """Priors of one lesion type.

    Args:
        age: mean and sd in years.
        male: probability.
        hepatitis: probability of viral hepatitis.
        malignancy: probability of a history of malignancy.
        cirrhosis: probability with and without viral hepatitis.
        fatty_liver: probability.
        diabetes: probability.
        size: median in cm and geometric sd.
        tested: probability of an immunohistochemical result.
        confirmed: probability of pathology without such a result; the study has it of every malignant lesion.
        several: relative weight of a further lesion in the same patient.
    """

    age: tuple[float, float]
    male: float
    hepatitis: float
    malignancy: float
    cirrhosis: tuple[float, float]
    fatty_liver: float
    diabetes: float
    size: tuple[float, float]
    tested: float
    confirmed: float
    several: float


TYPES: Mapping[str, TypePrior] = {
    "HCC": TypePrior((53.5, 11.5), 0.86, 0.82, 0.20, (0.60, 0.25), 0.10, 0.16, (3.9, 1.7), 0.36, 1.0, 1.0),
    "HM": TypePrior((60, 11), 0.57, 0.22, 0.85, (0.13, 0.024), 0.31, 0.14, (3.6, 1.7), 0.24, 1.0, 1.6),
    "ICC": TypePrior((60, 11), 0.58, 0.38, 0.20, (0.35, 0.08), 0.20, 0.16, (6.6, 1.5), 0.45, 1.0, 0.5),
    "HH": TypePrior((47, 12), 0.38, 0.18, 0.18, (0.10, 0.016), 0.29, 0.07, (3.5, 1.8), 0.02, 0.08, 1.0),
    "HA": TypePrior((60, 13), 0.60, 0.18, 0.18, (0.13, 0.034), 0.32, 0.40, (5.5, 1.5), 0.02, 0.20, 0.7),
    "OT": TypePrior((45, 15), 0.45, 0.22, 0.22, (0.17, 0.03), 0.28, 0.08, (4.0, 1.7), 0.35, 0.40, 0.4),
}


@dataclass(frozen=True)
class Subtype:
    """The primary tumor of a metastasis, or an entity of the type OT.

    Args:
        share: within the type.
        markers: probability of positive Hep, GPC3, CK7, CK19.
        male: probability, None = as the type.
        age: mean and sd in years, None = as the type.
    """

    share: float
    markers: tuple[float, float, float, float]
    male: float | None = None
    age: tuple[float, float] | None = None


SUBTYPES: Mapping[str, Mapping[str, Subtype]] = {
    # Primaries as in the 240-patient CEUS series of Danila 2010, Med Ultrason 12:233; cytokeratins of the
    # primaries so that all together show Hep .04, GPC3 .05, CK7 about .5, CK19 about .85.
    "HM": {
        "CRC": Subtype(121, (0.03, 0.05, 0.17, 0.90), 0.62),
        "pancreas": Subtype(19, (0.03, 0.03, 0.90, 0.95), 0.60),
        "lung": Subtype(18, (0.03, 0.03, 0.95, 0.88), 0.68),
        "breast": Subtype(15, (0.02, 0.03, 0.95, 0.90), 0.01),
        "gastric": Subtype(13, (0.20, 0.12, 0.70, 0.88), 0.70),
        "NEN": Subtype(12, (0.03, 0.03, 0.30, 0.50), 0.55),
        "nasopharynx": Subtype(12, (0.02, 0.03, 0.75, 0.80), 0.72),
        "ovary": Subtype(8, (0.02, 0.10, 0.95, 0.85), 0.001),
        "GIST": Subtype(7, (0.01, 0.01, 0.02, 0.01), 0.55),
        "other": Subtype(15, (0.03, 0.05, 0.80, 0.70), 0.60),
    },
    # Hepatocellular entities stain for Hep and not for GPC3; lymphoma, sarcoma and lipoma for neither. Share, age and
    # sex of lipoma are assumptions: it is rare, of the middle of life, and more often found in women.
    "OT": {
        "FNH": Subtype(36, (0.99, 0.01, 0.30, 0.30), 0.40, (36, 11)),
        "HCA": Subtype(13.5, (0.99, 0.02, 0.10, 0.05), 0.16, (37, 10)),
        "LYM": Subtype(13.5, (0.01, 0.01, 0.01, 0.01), 0.60, (57, 12)),
        "SAR": Subtype(13.5, (0.01, 0.05, 0.05, 0.03), 0.58, (57, 13)),
        "NEN": Subtype(13.5, (0.05, 0.03, 0.30, 0.50), 0.55, (55, 12)),
        "LIP": Subtype(10, (0.005, 0.005, 0.01, 0.01), 0.40, (52, 12)),
    },
}

MALIGNANT_ENTITIES = ("LYM", "SAR", "NEN")
"""Of the type OT: known from pathology, as all malignant lesions of the study are."""

# Positivity of Hep, GPC3, CK7, CK19 of the types without subtypes; benign vessels and pus carry none of them.
MARKERS: Mapping[str, tuple[float, float, float, float]] = {
    "HCC": (0.85, 0.75, 0.22, 0.16),
    "ICC": (0.08, 0.06, 0.88, 0.90),
    "HH": (0.005, 0.005, 0.01, 0.01),
    "HA": (0.01, 0.005, 0.02, 0.02),
}
HCC_KERATINS: tuple[tuple[float, tuple[int, int]], ...] = (
    # (share, (CK7, CK19)), Durnez 2006, n = 109, ordered from the differentiated to the stem-cell-like tumor.
    (0.72, (0, 0)),
    (0.12, (1, 0)),
    (0.06, (0, 1)),
    (0.10, (1, 1)),
)
GRADE_LINK: Mapping[str, tuple[float, float, float, float]] = {
    # Correlation of the latent grade with Hep, GPC3 and the keratins: poorly differentiated HCC loses Hep and
    # gains GPC3 and CK19; so a net can read a marker from the video only through the grade, with noise.
    "HCC": (-0.65, 0.8, 0.75, 0.75),
    "ICC": (-0.4, 0.4, 0.5, 0.5),
    "HM": (-0.3, 0.3, 0.3, 0.3),
}
AFP_GRADE_LINK = 0.5
"""Correlation of log AFP with the latent grade in HCC (CK19+ HCC: AFP > 400 ng/mL, poor grade)."""
AFP_SIZE_LINK = 0.2
