"""Oracle: the same moments and correlations from the pooled rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from ceus_models.plan.recipe import (
    RecipeRule,
    balance_weights,
    compute_class_weights,
    compute_normaliser,
    compute_recipe,
    correlations,
    select_variables,
)
from ceus_models.protocol.messages import Architecture
from ceus_models.protocol.sums import ExactSum
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, CLINICAL_NAMES, LESION_TYPES, OUTPUTS, count_outputs
from tests.support.fake_sites import lesions_of, tally_of

SITES = {"site-01": 40, "site-02": 25, "site-03": 7}
ROWS = [lesion for site, n in SITES.items() for lesion in lesions_of(site, {"training_a": n})]
FUSION_ROWS = lesions_of("site-37", {"training_b": 30})


def total_of(rows_by_site, cohort="training_a"):
    total = ExactSum()
    for rows in rows_by_site:
        total.add({f"{cohort}|{name}": t for name, t in tally_of(rows).items()})
    return total.take_float64()


TOTAL = {
    **total_of([lesions_of(site, {"training_a": n}) for site, n in SITES.items()]),
    **total_of([FUSION_ROWS], "training_b"),
}
X = np.array([lesion.clinical for lesion in ROWS])
LABELS = np.array([lesion.label for lesion in ROWS])


def test_correlations_are_pearsons_over_the_pooled_rows():
    r = correlations(TOTAL, ("training_a",))
    for variable in range(len(CLINICAL_NAMES)):
        there = ~np.isnan(X[:, variable])
        for kind in range(5):
            expected = pearsonr(X[there, variable], LABELS[there] == kind).statistic
            assert r[variable, kind] == pytest.approx(expected, abs=1e-6)
    assert (r[:, 5] == 0).all(), "no lesion of training A is OT, so r is not defined"


def test_the_variable_that_tells_a_type_is_selected():
    r = correlations(TOTAL, ("training_a",))
    strongest = np.abs(r).max(1)
    assert CLINICAL_NAMES[int(strongest.argmax())] == "age"
    assert select_variables(r, 0.5) == ("age",)
    assert select_variables(r, 0.0) == CLINICAL_NAMES
    assert set(select_variables(r, 0.2)) == {n for n, s in zip(CLINICAL_NAMES, strongest, strict=True) if s > 0.2}


def test_a_constant_or_unrecorded_variable_has_no_correlation():
    changed = {**TOTAL, "training_a|clinical": TOTAL["training_a|clinical"].clone()}
    n = changed["training_a|clinical"][3, 0]
    changed["training_a|clinical"][3] = torch.tensor([n, 0.1 * n, 0.01 * n])
    changed["training_a|clinical"][4] = 0.0
    changed["training_a|clinical_by_type"] = TOTAL["training_a|clinical_by_type"].clone()
    changed["training_a|clinical_by_type"][3, :, 1] = 0.1 * changed["training_a|clinical_by_type"][3, :, 0]
    changed["training_a|clinical_by_type"][4] = 0.0
    r = correlations(changed, ("training_a",))
    assert np.isfinite(r).all()
    assert (r[3:5] == 0).all()


def test_the_normaliser_holds_the_pooled_moments():
    found = compute_normaliser(TOTAL, ("training_a",))
    np.testing.assert_allclose(found.clinical_mean, np.nanmean(X, 0), atol=1e-6)
    np.testing.assert_allclose(found.clinical_sd, np.nanstd(X, 0), rtol=1e-5)
    assert found.level_mean == pytest.approx(0.25)
    assert found.level_sd == pytest.approx((0.1 - 0.25**2) ** 0.5, abs=1e-6)
    assert found.flow_sd == pytest.approx(2.0), "the root mean square of a flow that is not centred"


def test_nothing_recorded_gives_a_harmless_normaliser():
    found = compute_normaliser({}, ("training_a",))
    assert (found.level_mean, found.level_sd, found.flow_sd) == (0.0, 1.0, 1.0)
    assert found.clinical_mean == (0.0,) * len(CLINICAL)
    assert found.clinical_sd == (1.0,) * len(CLINICAL)


def test_balanced_weights_give_every_class_the_same_sum():
    counts = np.array([60.0, 30.0, 10.0, 0.0])
    weights = balance_weights(counts, cap=100)
    assert np.allclose((np.array(weights) * counts)[:3], 100 / 3)
    assert weights[3] == 1.0
    assert balance_weights(np.array([999.0, 1.0]), cap=10)[1] == 10
    assert balance_weights(np.zeros(2), cap=10) == (1.0, 1.0)
    assert balance_weights(counts, cap=100, balance=0.0) == (1.0,) * len(counts)
    np.testing.assert_allclose(balance_weights(counts, cap=100, balance=0.5), np.sqrt(weights))


def test_class_weights_come_from_the_cohort_of_the_net():
    weights = compute_class_weights(TOTAL, RecipeRule(max_class_weight=1e9))
    assert set(weights) == set(OUTPUTS)
    assert all(len(w) == max(2, count_outputs(net)) for net, w in weights.items())
    hcc = (LABELS == 0).sum()
    assert weights["disease/HCC"] == pytest.approx((len(ROWS) / 2 / (len(ROWS) - hcc), len(ROWS) / 2 / hcc))
    markers = np.array([lesion.biomarkers[BIOMARKERS.index("CK7")] for lesion in ROWS])
    tested = (~np.isnan(markers)).sum()
    assert weights["biomarker/CK7"][1] == pytest.approx(tested / 2 / np.nansum(markers))
    fusion = np.bincount([lesion.label for lesion in FUSION_ROWS], minlength=len(LESION_TYPES))
    assert weights["fusion/D"][5] == pytest.approx(len(FUSION_ROWS) / (fusion > 0).sum() / fusion[5])


def test_a_recipe_needs_labelled_lesions():
    recipe = compute_recipe(TOTAL, RecipeRule(), Architecture(), 24)
    assert "age" in recipe.selected
    assert recipe.fusion_hidden == 24
    with pytest.raises(ExpectedError, match="lesions with a type, found none; fill in fll_type"):
        compute_recipe({}, RecipeRule(), Architecture(), 24)
