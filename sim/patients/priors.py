"""Clinical and immunohistochemical priors of each lesion type, as tables.

From published values (the comments name sources) and, where there are none, from domain knowledge.
"""

from __future__ import annotations

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


LABS: Mapping[str, Lab] = {
    #                       HCC          HM           ICC         HH           HA           OT
    "AFP": Lab(_by_type((40, 15), (2.8, 1.7), (4, 2.8), (2.6, 1.6), (2.4, 1.6), (2.8, 1.8)), 0.06, 2),
    "CEA": Lab(_by_type((2.4, 1.7), (5, 3.5), (3.6, 2.6), (1.8, 1.6), (2, 1.6), (2, 1.7)), 0.10, 2),
    "CA19-9": Lab(_by_type((18, 2.4), (22, 4), (60, 7), (9, 2), (14, 2.3), (12, 2.2)), 0.12, 2),
    "CA125": Lab(_by_type((16, 2.2), (18, 2.6), (28, 2.8), (12, 1.6), (26, 2.2), (14, 2)), 0.20, 1),
    "ALT": Lab(_by_type((38, 1.9), (24, 1.8), (32, 2.1), (20, 1.6), (48, 2.2), (25, 1.8)), 0.05, 0),
    "AST": Lab(_by_type((42, 1.9), (26, 1.8), (34, 2), (20, 1.4), (42, 2.2), (26, 1.8)), 0.06, 0),
    "ALB": Lab(_by_type((38.5, 5.5), (40, 4.5), (39, 5), (43.5, 3.5), (32, 6), (41.5, 5)), 0.07, 1, normal=True),
    "TP": Lab(_by_type((68, 7), (69, 6.5), (69, 6.5), (72, 5.5), (65, 7.5), (70, 6.5)), 0.09, 1, normal=True),
    "PLT": Lab(_by_type((140, 1.6), (215, 1.4), (195, 1.45), (225, 1.3), (270, 1.65), (215, 1.4)), 0.06, 0),
    "WBC": Lab(_by_type((5.2, 1.4), (5.9, 1.35), (6.3, 1.4), (5.7, 1.3), (12.5, 1.5), (6, 1.4)), 0.05, 2),
}
CEA_OF_COLORECTAL = (18.0, 5.0)
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
        size: median in cm and geometric sd.
        tested: probability of an immunohistochemical result.
        confirmed: probability of pathology without such a result.
        several: relative weight of a further lesion in the same patient.
    """

    age: tuple[float, float]
    male: float
    hepatitis: float
    malignancy: float
    cirrhosis: tuple[float, float]
    fatty_liver: float
    size: tuple[float, float]
    tested: float
    confirmed: float
    several: float


TYPES: Mapping[str, TypePrior] = {
    # Cirrhosis within hepatitis keeps the marginal shares .65 .04 .20 .03 .05 .06.
    "HCC": TypePrior((57, 11), 0.86, 0.90, 0.17, (0.69, 0.29), 0.15, (3.9, 1.7), 0.36, 0.45, 1.0),
    "HM": TypePrior((59, 11), 0.57, 0.10, 0.97, (0.15, 0.028), 0.25, (3.6, 1.7), 0.24, 0.30, 1.6),
    "ICC": TypePrior((59, 11), 0.58, 0.35, 0.12, (0.40, 0.09), 0.18, (5.5, 1.6), 0.45, 0.55, 0.5),
    "HH": TypePrior((47, 12), 0.38, 0.12, 0.12, (0.12, 0.018), 0.28, (3.5, 1.8), 0.02, 0.08, 1.0),
    "HA": TypePrior((60, 13), 0.60, 0.10, 0.12, (0.15, 0.039), 0.28, (5.5, 1.5), 0.02, 0.20, 0.7),
    "OT": TypePrior((45, 15), 0.45, 0.15, 0.20, (0.20, 0.035), 0.25, (4.0, 1.7), 0.35, 0.40, 0.4),
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
    # Hepatocellular entities stain for Hep and not for GPC3; lymphoma and sarcoma for neither.
    "OT": {
        "FNH": Subtype(40, (0.99, 0.01, 0.30, 0.30), 0.40, (36, 11)),
        "HCA": Subtype(15, (0.99, 0.02, 0.10, 0.05), 0.16, (37, 10)),
        "LYM": Subtype(15, (0.01, 0.01, 0.01, 0.01), 0.60, (57, 12)),
        "SAR": Subtype(15, (0.01, 0.05, 0.05, 0.03), 0.58, (57, 13)),
        "NEN": Subtype(15, (0.05, 0.03, 0.30, 0.50), 0.55, (55, 12)),
    },
}

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
