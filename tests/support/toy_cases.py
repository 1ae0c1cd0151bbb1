"""Cases for tests of the phantom."""

from __future__ import annotations

import datetime

from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL
from sim.patients.patients import Case

ENTITIES = (
    *(("HCC", ""), ("HM", "CRC"), ("HM", "NEN"), ("ICC", ""), ("HH", ""), ("HA", "")),
    *(("OT", entity) for entity in ("FNH", "HCA", "LYM", "SAR", "NEN", "LIP")),
)


def case(number: int, fll_type: str = "HCC", subtype: str = "", size_cm: float = 4.0, maker: str = "Philips") -> Case:
    """A lesion of its own patient."""
    numbers = {v.name: (v.low * v.high) ** 0.5 if v.low > 0 else 0.0 for v in CLINICAL}
    clinical: dict[str, float | None] = {**numbers, "age": 61.0, "sex": 1.0, "tumor_size": size_cm}
    return Case(
        center=7,
        cohort="training_a",
        lesion_id=f"L07{number:04d}",
        patient_id=f"P{number}",
        exam_date=datetime.date(2020, 5, 17),
        fll_type=fll_type,
        subtype=subtype,
        grade=0.5,
        clinical=clinical,
        biomarkers=dict.fromkeys(BIOMARKERS, None) | {"Hep": 1},
        pathology_confirmed=True,
        manufacturer=maker,
        size_cm=size_cm,
    )
