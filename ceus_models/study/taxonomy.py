"""The terms of the study: lesion types, biomarkers, clinical variables, cohorts and nets. A new one is a row here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LESION_TYPES = ("HCC", "HM", "ICC", "HH", "HA", "OT")
TYPE_NAMES: Mapping[str, str] = {
    "HCC": "hepatocellular carcinoma",
    "HM": "hepatic metastasis",
    "ICC": "intrahepatic cholangiocarcinoma",
    "HH": "hepatic hemangioma",
    "HA": "hepatic abscess",
    "OT": "other",
}
DISEASE_TYPES = LESION_TYPES[:5]
"""The types that have sub-models; training A has no OT."""
MALIGNANT_TYPES = ("HCC", "HM", "ICC")
BIOMARKERS = ("Hep", "GPC3", "CK7", "CK19")

COHORTS = (
    "training_a",
    "validation",
    "training_b",
    "internal_test",
    "external_test_a",
    "external_test_b",
    "external_test_c",
)
TEST_COHORTS = COHORTS[3:]


@dataclass(frozen=True)
class Variable:
    """One clinical variable.

    Args:
        name: as in tables.
        meaning: what the tables' description says of it.
        example: a cell of the tables.
        unit: the canonical unit.
        low: lowest plausible value in `unit`.
        high: highest plausible value in `unit`.
        transform: applied before means and standard deviations.
        kind: of its values.
        units: other accepted unit → factor to `unit`.
        optional: a table without its column is whole: the variable came after tables had been made.
    """

    name: str
    meaning: str
    example: str
    unit: str
    low: float
    high: float
    transform: Literal["identity", "log"] = "identity"
    kind: Literal["number", "binary"] = "number"
    units: Mapping[str, float] | None = None
    optional: bool = False

    def list_units(self) -> Mapping[str, float]:
        """Accepted unit → factor to the canonical unit, which is included."""
        return {self.unit: 1.0, **(self.units or {})}

    def apply_transform(self, value: float) -> float:
        """The value as the nets see it: the natural logarithm of skewed laboratory values, else the value.

        >>> round(Variable("AFP", "alpha-fetoprotein", "35.2", "ng/mL", 0.1, 2e6, "log").apply_transform(20.0), 3)
        2.996
        """
        return math.log(max(value, self.low)) if self.transform == "log" else float(value)

    def invert_transform(self, value: float) -> float:
        """The value in `unit` from a transformed one."""
        return math.exp(value) if self.transform == "log" else value


_MASSES = {"ug/L": 1.0, "µg/L": 1.0}
_ACTIVITIES = {"IU/L": 1.0, "ukat/L": 60.0, "µkat/L": 60.0}
_CELLS = {"K/uL": 1.0, "K/µL": 1.0, "10^3/uL": 1.0}

# The candidates. Plausible ranges and units: reference ranges of the laboratories widened to what liver patients show.
CLINICAL: tuple[Variable, ...] = (
    Variable("age", "age at the examination", "61", "years", 0, 110),
    Variable("sex", "sex", "male", "", 0, 1, kind="binary"),
    Variable("viral_hepatitis", "viral hepatitis, now or before", "1", "", 0, 1, kind="binary"),
    Variable("malignancy_history", "a malignant tumour before this one", "0", "", 0, 1, kind="binary"),
    Variable("cirrhosis", "cirrhosis of the liver", "1", "", 0, 1, kind="binary"),
    Variable("fatty_liver", "fatty liver", "0", "", 0, 1, kind="binary"),
    Variable("tumor_size", "largest diameter of the lesion", "3.4", "cm", 0.2, 40, "log", units={"mm": 0.1}),
    Variable(
        "AFP", "alpha-fetoprotein", "35.2", "ng/mL", 0.1, 2e6, "log", units={**_MASSES, "IU/mL": 1.21, "kIU/L": 1.21}
    ),
    Variable("CEA", "carcinoembryonic antigen", "2.1", "ng/mL", 0.05, 1e5, "log", units=_MASSES),
    Variable("CA19-9", "carbohydrate antigen 19-9", "14", "U/mL", 0.1, 1e6, "log", units={"kU/L": 1.0}),
    Variable("CA125", "carbohydrate antigen 125", "11", "U/mL", 0.5, 1e5, "log", units={"kU/L": 1.0}),
    Variable("ALT", "alanine aminotransferase", "38", "U/L", 1, 20000, "log", units=_ACTIVITIES),
    Variable("AST", "aspartate aminotransferase", "41", "U/L", 1, 20000, "log", units=_ACTIVITIES),
    Variable("ALB", "albumin", "39.5", "g/L", 10, 70, units={"g/dL": 10.0}),
    Variable("TP", "total protein", "70.1", "g/L", 30, 120, units={"g/dL": 10.0}),
    Variable("PLT", "platelets", "142", "10^9/L", 2, 2000, "log", units=_CELLS),
    Variable("WBC", "white blood cells", "5.3", "10^9/L", 0.1, 200, "log", units=_CELLS),
    Variable("diabetes", "diabetes mellitus", "0", "", 0, 1, kind="binary", optional=True),
    Variable("BMI", "body mass index", "23.1", "kg/m2", 8, 80, optional=True),
    Variable("TBIL", "total bilirubin", "14", "umol/L", 0.5, 1500, "log", units={"mg/dL": 17.1}, optional=True),
    Variable("CREA", "creatinine", "68", "umol/L", 5, 3000, "log", units={"mg/dL": 88.4}, optional=True),
)
CLINICAL_NAMES = tuple(variable.name for variable in CLINICAL)
"""The candidates: federated correlation selects among them. The study selected 17; the last four are recorded in most
hospitals too, and are not among them."""

DISEASE_NETS = tuple(f"disease/{name}" for name in DISEASE_TYPES)
BIOMARKER_NETS = tuple(f"biomarker/{name}" for name in BIOMARKERS)
STRATEGY_A = "disease/all"
"""The one five-class net that strategy A of the study compares with the five binary nets of strategy B."""
STRATEGY_B = "disease/five"
"""Strategy B as one classifier: the type whose binary net has the highest probability. It has no parameters, so it is
no net; a site computes it whenever all five are evaluated."""
SUBMODELS = DISEASE_NETS + BIOMARKER_NETS
FUSION_MODELS = ("D", "DC", "DB", "DCB")
FUSION_NETS = tuple(f"fusion/{name}" for name in FUSION_MODELS)
OUTPUTS = (*SUBMODELS, STRATEGY_A, *FUSION_NETS)
"""All that a study can train and evaluate. Each is a net of its own, but that nine heads of a trunk can be the
sub-models (`ceus_models.nets.heads`)."""
TRUNK = "trunk"
"""The one net whose nine heads are the sub-models, where a plan shares it."""
NETS = (*SUBMODELS, TRUNK, STRATEGY_A, *FUSION_NETS)


def count_outputs(net: str) -> int:
    """Number of outputs: 1 for a binary net, 9 for the trunk, 5 for the strategies A and B, 6 for a fusion net.

    Raises:
        KeyError: the name is neither in NETS nor STRATEGY_B.

    >>> count_outputs("disease/HCC"), count_outputs("fusion/DCB")
    (1, 6)
    """
    if net not in (*NETS, STRATEGY_B):
        raise KeyError(f"unknown net {net!r}; the nets are {', '.join(NETS)}")
    if net == TRUNK:
        return len(SUBMODELS)
    if net in (STRATEGY_A, STRATEGY_B):
        return len(DISEASE_TYPES)
    return len(LESION_TYPES) if net.startswith("fusion/") else 1


def select_classifiers(nets: Sequence[str]) -> tuple[str, ...]:
    """The classifiers of several types among some nets; with all five binary nets also strategy B."""
    five = (STRATEGY_B,) if set(DISEASE_NETS) <= set(nets) else ()
    return (*(net for net in nets if count_outputs(net) > 1), *five)
