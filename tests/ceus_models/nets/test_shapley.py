"""Shapley values against their definition, and their axioms on a fusion net."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pytest
import torch
from toy_lesions import lesions, recipe

from ceus_models.nets.factory import build_net
from ceus_models.nets.fusion import build_fusion_inputs, count_inputs
from ceus_models.nets.predict import compute_probabilities
from ceus_models.nets.shapley import (
    BIOMARKER,
    DISEASE,
    compute_contributions,
    evaluate_coalitions,
    list_parts,
    shapley_values,
)


def test_values_are_the_mean_over_all_orders() -> None:
    """By the definition, for four parts and two outputs."""
    table = np.random.default_rng(2).normal(size=(16, 2))
    expected = np.zeros((4, 2))
    orders = list(permutations(range(4)))
    for order in orders:
        inside = 0
        for part in order:
            expected[part] += (table[inside | 1 << part] - table[inside]) / len(orders)
            inside |= 1 << part
    assert shapley_values(table) == pytest.approx(expected)


def test_a_game_by_hand() -> None:
    """Gloves: part 0 has a left one, parts 1 and 2 a right one each; a pair is worth 1. (2/3, 1/6, 1/6)"""
    table = np.array([[float(bool(s & 1) and bool(s & 6))] for s in range(8)])
    assert shapley_values(table)[:, 0] == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_a_sum_gives_each_part_its_own() -> None:
    own = np.array([[0.5], [-2.0], [0.0], [3.0], [1.0]])
    table = evaluate_coalitions(5, 1, lambda coalitions: (coalitions[:, None] >> np.arange(5) & 1) @ own)
    assert shapley_values(table) == pytest.approx(own)


@pytest.mark.parametrize("net", ["fusion/D", "fusion/DC", "fusion/DCB"])
def test_contributions_add_up_to_the_answer(net: str) -> None:
    given, cases = recipe(), lesions(3)
    module = build_net(net, given, 1)
    table = np.random.default_rng(1).uniform(0.05, 0.95, (3, 9)).astype(np.float32)
    inputs = build_fusion_inputs(net, table, cases, given)[1:2]
    found = compute_contributions(net, module, inputs, given)
    with torch.no_grad():
        assert found.answer == pytest.approx(compute_probabilities(module(inputs))[0], abs=1e-6)
        assert found.background == pytest.approx(compute_probabilities(module(torch.zeros_like(inputs)))[0], abs=1e-6)
    assert sum(found.by_part.values()) == pytest.approx(found.answer - found.background)
    assert len(list_parts(net, given)) == count_inputs(net, given)
    named = {"fusion/D": {DISEASE}, "fusion/DC": {DISEASE, "age", "AFP"}}
    assert set(found.by_part) == named.get(net, {DISEASE, BIOMARKER, "age", "AFP"})
    for values in found.by_part.values():
        assert values.sum() == pytest.approx(0, abs=1e-6)  # what one type gains the others lose


def test_a_variable_at_its_training_mean_contributes_nothing() -> None:
    given = recipe()
    case = lesions(1)[0]
    clinical = case.clinical.copy()
    clinical[0] = given.normaliser.clinical_mean[0]  # age
    clinical[7] = np.nan  # AFP: what its flag does
    case = dataclasses.replace(case, clinical=clinical)
    inputs = build_fusion_inputs("fusion/DC", np.full((1, 9), 0.3, np.float32), [case], given)
    found = compute_contributions("fusion/DC", build_net("fusion/DC", given, 1), inputs, given)
    assert found.by_part["age"] == pytest.approx(np.zeros(6), abs=1e-9)
    assert abs(found.by_part["AFP"]).max() > 1e-4


def test_nineteen_parts_are_few_enough() -> None:
    """The study's 17 selected variables: half a million coalitions."""
    names = ("age", "sex", "viral_hepatitis", "malignancy_history", "cirrhosis", "fatty_liver", "tumor_size", "AFP")
    names += ("CEA", "CA19-9", "CA125", "ALT", "AST", "ALB", "TP", "PLT", "WBC")
    given = dataclasses.replace(recipe(), selected=names)
    inputs = build_fusion_inputs("fusion/DCB", np.full((1, 9), 0.3, np.float32), lesions(1), given)
    found = compute_contributions("fusion/DCB", build_net("fusion/DCB", given, 1), inputs, given)
    assert len(found.by_part) == 19
    assert sum(found.by_part.values()) == pytest.approx(found.answer - found.background)
