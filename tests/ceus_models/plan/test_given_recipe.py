"""A recipe from public constants."""

from __future__ import annotations

import math

import pytest

from ceus_models.plan.given_recipe import Given
from ceus_models.protocol.messages import Architecture
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, OUTPUTS

SHARES = {"HCC": 0.5, "HM": 0.2, "ICC": 0.1, "HH": 0.1, "HA": 0.05, "OT": 0.05}


def test_class_weights_are_those_of_the_published_prevalence() -> None:
    given = Given(("AFP",), SHARES, {"Hep": 0.8}, class_balance=1.0)
    weights = given.recipe(Architecture(), 0).class_weights
    assert set(weights) == set(OUTPUTS)
    assert weights["disease/HCC"] == pytest.approx((0.95 / 2 / 0.45, 0.95 / 2 / 0.5))  # training A has no OT
    assert weights["biomarker/Hep"] == pytest.approx((0.5 / 0.2, 0.5 / 0.8))
    assert weights["biomarker/CK7"] == (1.0, 1.0)
    assert weights["fusion/DCB"] == pytest.approx(tuple(1 / 6 / n for n in SHARES.values()))
    assert weights["disease/all"] == pytest.approx(tuple(0.95 / 5 / n for n in list(SHARES.values())[:5]))
    assert (
        max(Given(("AFP",), SHARES, max_class_weight=2.0).recipe(Architecture(), 0).class_weights["fusion/DCB"]) == 2.0
    )
    assert Given(("AFP",)).recipe(Architecture(), 0).class_weights["fusion/D"] == pytest.approx((1.0,) * 6)


def test_a_variable_without_moments_has_those_of_its_range() -> None:
    given = Given(("age", "AFP"), clinical={"age": (55.0, 12.0)}, level=(0.1, 0.2), flow_sd=3.0)
    normaliser = given.recipe(Architecture(), 7).normaliser
    age, afp = CLINICAL_NAMES.index("age"), CLINICAL_NAMES.index("AFP")
    assert (normaliser.level_mean, normaliser.level_sd, normaliser.flow_sd) == (0.1, 0.2, 3.0)
    assert (normaliser.clinical_mean[age], normaliser.clinical_sd[age]) == (55.0, 12.0)
    low, high = math.log(CLINICAL[afp].low), math.log(CLINICAL[afp].high)
    assert normaliser.clinical_mean[afp] - 3 * normaliser.clinical_sd[afp] == pytest.approx(low)
    assert normaliser.clinical_mean[afp] + 3 * normaliser.clinical_sd[afp] == pytest.approx(high)


def test_selected_variables_are_in_the_studys_order() -> None:
    recipe = Given(("WBC", "age", "AFP")).recipe(Architecture(), 0)
    assert recipe.selected == ("age", "AFP", "WBC")
    assert recipe.fusion_hidden == 0


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"selected": ("AFB",)}, "selected each once of age"),
        ({"selected": ("AFP", "AFP")}, "found AFP"),
        ({"prevalence": {"HCC": 0.5}}, "in prevalence all of HCC, HM"),
        ({"positive": {"GPC4": 0.5}}, "in positive each once of Hep"),
        ({"prevalence": dict.fromkeys(SHARES, 0.0)}, "greater than 0"),
        ({"clinical": {"age": (50.0, 0.0)}}, "greater than 0"),
    ],
)
def test_constants_that_cannot_be_are_refused(values: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Given(**{"selected": ("AFP",), **values})
