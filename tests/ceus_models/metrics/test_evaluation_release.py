"""The tables of an evaluation, and what one patient can change, against a search over all places of lesions."""

from __future__ import annotations

import numpy as np
import pytest
from toy_lesions import task

from ceus_models.metrics.evaluation_release import evaluation_sensitivity, list_pairs, list_tables
from ceus_models.plan.answers.answer_schema import groups_of
from ceus_models.study.taxonomy import DISEASE_NETS, FUSION_NETS, count_outputs, select_classifiers


def test_tables_are_those_of_a_noised_answer() -> None:
    nets = (*DISEASE_NETS, "fusion/D", "fusion/DCB")
    asked = task("evaluate", nets, cohorts=("validation",), comparisons=True, level="distributed")
    specs = {name: spec.shape for group in groups_of(asked).values() for name, spec in group.items()}
    assert specs == {f"validation|{name}": shape for name, shape in list_tables(nets).items()}
    assert len(list_pairs(select_classifiers(nets))) == 3


def test_a_validation_round_has_no_pairs() -> None:
    assert "pairs|right" not in list_tables(FUSION_NETS, comparisons=False)
    assert evaluation_sensitivity(FUSION_NETS, 1, comparisons=False) == pytest.approx((4 * 7) ** 0.5)


@pytest.mark.parametrize("nets", [("disease/HCC",), ("fusion/DCB",), FUSION_NETS, DISEASE_NETS])
def test_sensitivity_is_reached_by_lesions_that_share_their_cells(nets: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    tables = list_tables(nets)

    def add_lesion(change: dict[str, np.ndarray], draw: np.random.Generator) -> None:
        for name, shape in tables.items():
            rows = shape[0] if name.endswith(("scores", "right")) else 1
            flat = change[name].reshape(rows, -1)
            flat[np.arange(rows), draw.integers(0, flat.shape[1], rows)] += 1

    largest = 0.0
    for _ in range(50):
        change = {name: np.zeros(shape) for name, shape in tables.items()}
        seeds = rng.integers(0, 1000, 2) if rng.random() < 0.5 else [7, 7]
        for seed in seeds:
            add_lesion(change, np.random.default_rng(seed))
        largest = max(largest, float(np.sqrt(sum((table**2).sum() for table in change.values()))))
    assert largest == pytest.approx(evaluation_sensitivity(nets))


def test_the_designs_example() -> None:
    """One binary net: accuracy and one histogram, two lesions a patient: 2 · √2."""
    assert count_outputs("disease/HCC") == 1
    assert evaluation_sensitivity(("disease/HCC",), 2) == pytest.approx(2 * 2**0.5)
