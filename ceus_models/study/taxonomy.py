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
        unit: the canonical unit.
        low: lowest plausible value in `unit`.
        high: highest plausible value in `unit`.
        transform: applied before means and standard deviations.
        kind: of its values.
        units: other accepted unit → factor to `unit`.
    """

    name: str
    unit: str
    low: float
    high: float
    transform: Literal["identity", "log"] = "identity"
    kind: Literal["number", "binary"] = "number"
    units: Mapping[str, float] | None = None

    def list_units(self) -> Mapping[str, float]:
        """Accepted unit → factor to the canonical unit, which is included."""
        return {self.unit: 1.0, **(self.units or {})}

    def apply_transform(self, value: float) -> float:
        """The value as the nets see it: the natural logarithm of skewed laboratory values, else the value.

        >>> round(Variable("AFP", "ng/mL", 0.1, 2e6, "log").apply_transform(20.0), 3)
        2.996
        """
        return math.log(max(value, self.low)) if self.transform == "log" else float(value)

    def invert_transform(self, value: float) -> float:
        """The value in `unit` from a transformed one."""
        return math.exp(value) if self.transform == "log" else value


# Plausible ranges and units: reference ranges of the laboratories widened to what liver patients show.
CLINICAL: tuple[Variable, ...] = (
    Variable("age", "years", 0, 110),
    Variable("sex", "", 0, 1, kind="binary"),
    Variable("viral_hepatitis", "", 0, 1, kind="binary"),
    Variable("malignancy_history", "", 0, 1, kind="binary"),
    Variable("cirrhosis", "", 0, 1, kind="binary"),
    Variable("fatty_liver", "", 0, 1, kind="binary"),
    Variable("tumor_size", "cm", 0.2, 40, "log", units={"mm": 0.1}),
    Variable("AFP", "ng/mL", 0.1, 2e6, "log", units={"ug/L": 1.0, "µg/L": 1.0, "IU/mL": 1.21, "kIU/L": 1.21}),
    Variable("CEA", "ng/mL", 0.05, 1e5, "log", units={"ug/L": 1.0, "µg/L": 1.0}),
    Variable("CA19-9", "U/mL", 0.1, 1e6, "log", units={"kU/L": 1.0}),
    Variable("CA125", "U/mL", 0.5, 1e5, "log", units={"kU/L": 1.0}),
    Variable("ALT", "U/L", 1, 20000, "log", units={"IU/L": 1.0, "ukat/L": 60.0, "µkat/L": 60.0}),
    Variable("AST", "U/L", 1, 20000, "log", units={"IU/L": 1.0, "ukat/L": 60.0, "µkat/L": 60.0}),
    Variable("ALB", "g/L", 10, 70, units={"g/dL": 10.0}),
    Variable("TP", "g/L", 30, 120, units={"g/dL": 10.0}),
    Variable("PLT", "10^9/L", 2, 2000, "log", units={"K/uL": 1.0, "K/µL": 1.0, "10^3/uL": 1.0}),
    Variable("WBC", "10^9/L", 0.1, 200, "log", units={"K/uL": 1.0, "K/µL": 1.0, "10^3/uL": 1.0}),
)
CLINICAL_NAMES = tuple(variable.name for variable in CLINICAL)

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
