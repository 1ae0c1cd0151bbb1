"""Names, units and cohorts of the study."""

from __future__ import annotations

import math
from datetime import date

import pytest

from ceus_models.study.cohorts import assign_cohort, compute_split_fraction
from ceus_models.study.taxonomy import BIOMARKER_NETS, CLINICAL, COHORTS, DISEASE_NETS, NETS, SUBMODELS, count_outputs

VARIABLES = {variable.name: variable for variable in CLINICAL}


def test_the_study_has_nine_submodels_and_selects_among_more_than_its_seventeen_variables() -> None:
    assert len(SUBMODELS) == 9
    assert SUBMODELS == DISEASE_NETS + BIOMARKER_NETS
    assert sum(not variable.optional for variable in CLINICAL) == 17
    assert {variable.name for variable in CLINICAL if variable.optional} == {"diabetes", "BMI", "TBIL", "CREA"}
    assert len(COHORTS) == 7


def test_outputs() -> None:
    assert [count_outputs(net) for net in ("disease/HA", "biomarker/CK7", "disease/all", "fusion/DCB")] == [
        1,
        1,
        5,
        6,
    ]
    assert all(count_outputs(net) for net in NETS)
    with pytest.raises(KeyError, match="unknown net"):
        count_outputs("disease/OT")


def test_units_and_transforms() -> None:
    assert VARIABLES["ALB"].list_units() == {"g/L": 1.0, "g/dL": 10.0}
    assert VARIABLES["AFP"].list_units()["IU/mL"] == 1.21
    assert VARIABLES["AFP"].apply_transform(100.0) == pytest.approx(math.log(100))
    assert VARIABLES["AFP"].apply_transform(0.0) == pytest.approx(math.log(0.1)), "below detection is the lowest value"
    assert VARIABLES["age"].apply_transform(60) == 60.0


@pytest.mark.parametrize(
    ("center", "day", "cohort"),
    [
        (37, date(2017, 1, 1), "training_b"),
        (49, date(2022, 12, 31), "training_b"),
        (50, date(2020, 5, 5), "internal_test"),
        (51, date(2020, 5, 5), "external_test_a"),
        (52, date(2020, 5, 5), "external_test_b"),
        (1, date(2023, 1, 1), "external_test_c"),
        (52, date(2023, 12, 31), "external_test_c"),
    ],
)
def test_cohorts_by_center_and_date(center: int, day: date, cohort: str) -> None:
    assert assign_cohort(center, day, "P1") == cohort


def test_training_a_and_validation_split_by_patient_about_four_to_one() -> None:
    cohorts = [assign_cohort(5, date(2019, 3, 3), f"P{i}") for i in range(4000)]
    assert set(cohorts) == {"training_a", "validation"}
    assert cohorts.count("validation") / 4000 == pytest.approx(0.2, abs=0.02)
    assert assign_cohort(5, date(2017, 3, 3), "P1") == assign_cohort(5, date(2022, 3, 3), "P1")
    assert 0 <= compute_split_fraction("P1") < 1


@pytest.mark.parametrize(
    ("center", "day"),
    [(0, date(2020, 1, 1)), (53, date(2020, 1, 1)), (1, date(2016, 12, 31)), (1, date(2024, 1, 1))],
)
def test_outside_the_study(center: int, day: date) -> None:
    with pytest.raises(ValueError, match="exam date|center"):
        assign_cohort(center, day, "P1")
