"""The site's counting of diagnoses: its truth is held in test_pooled_oracle; here, what it holds back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_readings import answer_of, answers, cases
from toy_lesions import lesions

from ceus_models.study.reader_study import ENTRIES, READERS
from ceus_models.study.sample import Reading, Sample
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.counts.paired_counts import Verdicts
from client.worker.tasks.counts.reader_counts import reader_counts

NAME = "external_test_c|readers|"


def crossed(count: int, unread: int = 0) -> list[Sample]:
    """Lesions that the same three readers read, but for the last `unread`."""
    rng = np.random.default_rng(3)
    made = []
    for place, sample in enumerate(cases(count)):
        readings = [
            Reading(code, READERS[code], assisted, sample.label if rng.random() < 0.7 else LESION_TYPES[0])
            for code in ("junior1", "senior1", "mri1")
            for assisted in (False, True)
            if code != "mri1" or not assisted
        ]
        made.append(replace(sample, readings=() if place >= count - unread else tuple(readings)))
    return made


def counted(own: list[Sample], cell: int) -> dict:
    return reader_counts(own, (("fusion/D",), {"fusion/D": make_verdicts(own)}), cell)


def make_verdicts(own: list[Sample]) -> Verdicts:
    return Verdicts(np.arange(len(own)), np.random.default_rng(5).random(len(own)) < 0.6)


def test_lesions_without_reads_give_nothing() -> None:
    assert reader_counts(lesions(5), (("fusion/D",), {}), 1) == {}
    assert counted(lesions(5), 1) == {}


def test_types_below_the_minimum_cell_are_left_out_everywhere() -> None:
    own = crossed(60)
    held = Counter(sample.label for sample in own)
    found = counted(own, 6)
    for code in ("junior1", "senior1", "mri1"):
        rows = found["confusion"][ENTRIES.index(code), 0].sum(-1).tolist()
        assert rows == [held[kind] if held[kind] >= 6 else 0 for kind in LESION_TYPES]
    assert min(held.values()) < 6


def test_lesions_that_few_readers_share_are_left_out_of_all_tables() -> None:
    """Three of a type that one reader more read would follow from the difference of two readers' tables."""
    own = crossed(120)
    extra = [i for i, s in enumerate(own) if s.label == "HCC"][:3]
    for i in extra:
        own[i] = replace(own[i], readings=(*own[i].readings, Reading("senior2", "senior", False, "HCC")))
    found = counted(own, 5)
    held = Counter(sample.label for sample in own)
    assert found["confusion"][ENTRIES.index("junior1"), 0, 0].sum() == 0, "of HCC no pattern hides three alone"
    assert found["confusion"][ENTRIES.index("senior2")].sum() == 0
    assert found["confusion"][ENTRIES.index("junior1"), 0, 1].sum() == held["HM"]


def test_a_classifier_is_compared_where_every_part_has_a_cell_of_both_verdicts() -> None:
    assert int(counted(crossed(120), 5)["model"].sum()) > 0
    own = crossed(120)
    nearly = Verdicts(np.arange(120), np.arange(120) >= 3)
    assert not reader_counts(own, (("fusion/D",), {"fusion/D": nearly}), 5)["model"].any()
    apart = crossed(120, unread=30)
    right = np.where(np.arange(120) < 90, np.arange(120) % 2 == 0, True)  # all unread lesions are right
    found = reader_counts(apart, (("fusion/D",), {"fusion/D": Verdicts(np.arange(120), right)}), 5)
    assert not found["model"].any(), "its accuracy on the read lesions would tell of each unread one"


def test_no_pair_of_verdicts_is_shown_in_part() -> None:
    for cell in (1, 3, 5, 8):
        found = counted(crossed(150), cell)
        for name in ("pairs", "model"):
            tables = found[name].reshape(-1, 4)
            assert ((tables >= cell).all(1) | (tables == 0).all(1) | (cell == 1)).all()


def test_a_reader_without_a_code_is_counted_apart_from_those_with_one() -> None:
    own = cases(40)
    sums = answer_of(own, answers(own), 1)
    reads = sums[f"{NAME}confusion"][ENTRIES.index("senior"), 0].sum()
    assert int(reads) == sum(r.reader == "Dr. Li" for s in own for r in s.readings)


def test_no_name_of_a_reader_is_in_an_answer() -> None:
    own = cases(60)
    sums = answer_of(own, answers(own), 1)
    assert not any("Li" in name for name in sums)
    counts = {"confusion", "pairs", "model", "confidence", "seconds", "seconds_change"}
    assert {name.rsplit("|", 1)[1] for name in sums if "readers" in name} == counts


def test_effort_is_counted_of_readers_with_a_code_where_all_their_reads_have_it() -> None:
    own = [
        replace(s, readings=tuple(r._replace(confidence=4, seconds=20.0 + k) for r in s.readings))
        for k, s in enumerate(crossed(60))
    ]
    found = counted(own, 1)
    junior = list(READERS).index("junior1")
    assert found["confidence"][junior, 0, 3].sum() == 60
    logs = np.log(20.0 + np.arange(60))
    assert found["seconds"][junior, 0].tolist() == pytest.approx([60, logs.sum(), (logs**2).sum()])
    assert found["seconds_change"][junior].tolist() == [60, 0, 0]
    lacking = own[0].readings[0]
    own[0] = replace(own[0], readings=(lacking._replace(confidence=None, seconds=None), *own[0].readings[1:]))
    found = counted(own, 1)
    place = list(READERS).index(lacking.reader)
    for name in ("confidence", "seconds"):
        assert not found[name][place, int(lacking.assisted)].any()
        assert found[name][place, int(not lacking.assisted)].any()
    assert not found["seconds_change"][place].any()
