"""The matrix of models and places: its table, flags and finding, from made counts; and what counts as a baseline."""

from __future__ import annotations

from sim.experiments.experiment_file import Matrix
from sim.experiments.site_matrix import build_entry

SCORES = {
    "federated": {"internal_test": (8, 10), "site-01": (9, 12), "site-02": (2, 4)},
    "pooled": {"internal_test": (9, 10), "site-01": (10, 12), "site-02": (3, 4)},
    "site-01": {"internal_test": (5, 10), "site-01": (8, 12), "site-02": (1, 4)},
    "site-02": {"internal_test": (3, 10), "site-01": (2, 12), "site-02": (4, 4)},
}
EXPERIMENT = Matrix("matrix", "All on all")


def test_own_lesions_stand_beside_those_of_other_centers() -> None:
    entry = build_entry(EXPERIMENT, SCORES)
    assert entry.columns == ["model", "Internal test", "own lesions", "of these", "other centers' lesions"]
    assert entry.rows[0] == ["federated", 0.8, None, 0, round(11 / 16, 4)]
    assert entry.rows[2] == ["site-01", 0.5, round(8 / 12, 4), 12, 0.25]


def test_small_cells_are_flagged_and_every_cell_is_there() -> None:
    figure = build_entry(EXPERIMENT, SCORES).figure
    assert figure is not None
    assert figure["rows"] == list(SCORES)
    assert figure["columns"] == ["Internal test (10)", "site-01 (12)", "site-02 (4)"]
    assert figure["flagged"] == [[False, False, True]] * 4
    assert figure["values"][1] == [0.9, round(10 / 12, 4), 0.75]


def test_the_finding_counts_the_centers_with_enough_lesions() -> None:
    found = build_entry(EXPERIMENT, SCORES).finding
    assert "federated 0.800, pooled 0.900, centers alone 0.400 on average and 0.500 at best (site-01)" in found
    assert "in 1 of 1 centers with 10 or more lesions" in found  # site-02 has 4
    alone = build_entry(EXPERIMENT, {"federated": SCORES["federated"]})
    assert "ceus-sim compare" in alone.finding
