"""The site's counting of diagnoses: its truth is held in test_compared_rows; here, what it holds back."""

from __future__ import annotations

import numpy as np
from made_readings import answer_of, answers, cases
from toy_lesions import lesions

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.study.reader_study import ENTRIES, READERS
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.paired_counts import Verdicts
from client.worker.tasks.reader_counts import reader_counts

NAME = "external_test_c|readers|"


def answered(cell, count=60):
    own = cases(count)
    return own, answer_of(own, answers(own), 5, cell)


def test_lesions_without_reads_give_nothing():
    draws = np.stack([poisson_weights(1, str(i), 3) for i in range(5)])
    assert reader_counts(lesions(5), (("fusion/D",), {}), draws, 1) == {}
    verdicts = {"fusion/D": Verdicts(np.arange(5), np.ones(5, bool))}
    assert reader_counts(lesions(5), (("fusion/D",), verdicts), draws, 1) == {}


def test_types_below_the_minimum_cell_are_left_out_everywhere():
    own, sums = answered(cell=6)
    confusion = sums[f"{NAME}confusion"]
    assert all(n == 0 or n >= 6 for n in confusion.sum(-1).reshape(-1).tolist())
    for place, code in enumerate(READERS):
        for assisted in (0, 1):
            held = [s.label for s in own for r in s.readings if (r.reader, r.assisted) == (code, bool(assisted))]
            expected = [held.count(t) if held.count(t) >= 6 else 0 for t in LESION_TYPES]
            assert confusion[place, assisted].sum(-1).tolist() == expected
            assert int(sums[f"{NAME}right"][0, place, assisted, 0]) == sum(expected)
    assert int(sums[f"{NAME}assistance"].sum((1, 2)).max()) <= int(sums[f"{NAME}right"][0, :8, :, 0].max())


def test_a_role_counts_lesions_not_reads_against_the_minimum_cell():
    own, sums = answered(cell=12)
    senior = ENTRIES.index("senior")
    for place, kind in enumerate(LESION_TYPES):
        read = [s for s in own if s.label == kind and any(r.role == "senior" and not r.assisted for r in s.readings)]
        assert bool(sums[f"{NAME}confusion"][senior, 0, place].sum()) == (len(read) >= 12)


def test_no_name_of_a_reader_is_in_an_answer():
    _, sums = answered(cell=1)
    assert not any("Li" in name for name in sums)
    assert {name.rsplit("|", 1)[1] for name in sums if "readers" in name} == {
        "right",
        "confusion",
        "assistance",
        "model",
    }
