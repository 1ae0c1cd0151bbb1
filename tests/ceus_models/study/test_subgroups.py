from __future__ import annotations

import numpy as np
import pytest
from made_readings import cases
from toy_lesions import lesion, lesions

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.study.subgroups import CELLS, SUBGROUPS, build_slices, find_small_cells, list_cells
from client.worker.tasks.paired_counts import Verdicts
from client.worker.tasks.subgroup_counts import subgroup_counts


@pytest.mark.parametrize(
    ("lesions", "cell", "left_out"),
    [
        ((20, 7, 0), 5, (False, False, False)),
        ((20, 3, 0), 5, (True, True, False)),  # one alone could be worked out from the total
        ((30, 4, 2), 5, (False, True, True)),  # six together are enough
        ((30, 8, 2), 5, (False, True, True)),
        ((1, 1, 1), 5, (True, True, True)),
        ((4, 3, 2), 1, (False, False, False)),
        ((0, 0, 0), 5, (False, False, False)),
    ],
)
def test_what_is_left_out_is_at_least_a_cell_or_all(lesions, cell, left_out):
    few = find_small_cells(np.array(lesions), cell)
    assert few.tolist() == list(left_out)


def test_every_lesion_has_one_value_of_every_variable():
    for sample in [*cases(50), lesion(1)]:
        own = [CELLS[place] for place in list_cells(sample)]
        assert [variable for variable, _ in own] == list(SUBGROUPS)
    assert all(value == "unknown" for _, value in [CELLS[p] for p in list_cells(lesion(1))])


def test_spans_cover_all_cells_in_order():
    assert [place for span in build_slices().values() for place in range(span.start, span.stop)] == list(
        range(len(CELLS))
    )


def test_a_site_below_its_cell_says_nothing_of_itself():
    draws = np.stack([poisson_weights(1, str(i), 5) for i in range(6)])
    verdicts = Verdicts(np.arange(6), np.array([True, True, False, True, True, True]))
    assert subgroup_counts(lesions(6), verdicts, draws, 6)["own"].tolist() == [6, 5]
    silent = subgroup_counts(lesions(6), verdicts, draws, 7)
    assert silent["own"].tolist() == [0, 0]
    assert int(silent["groups"].sum()) == 0
    assert silent["withheld"].tolist() == [1] * len(SUBGROUPS)
