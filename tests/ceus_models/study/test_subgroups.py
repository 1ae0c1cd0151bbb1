from __future__ import annotations

from made_readings import cases
from toy_lesions import lesion

from ceus_models.study.subgroups import CELLS, SUBGROUPS, build_slices, list_cells


def test_every_lesion_has_one_value_of_every_variable():
    for sample in [*cases(50), lesion(1)]:
        own = [CELLS[place] for place in list_cells(sample)]
        assert [variable for variable, _ in own] == list(SUBGROUPS)
    assert all(value == "unknown" for _, value in [CELLS[p] for p in list_cells(lesion(1))])


def test_spans_cover_all_cells_in_order():
    assert [place for span in build_slices().values() for place in range(span.start, span.stop)] == list(
        range(len(CELLS))
    )
