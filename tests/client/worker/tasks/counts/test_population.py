"""Which lesions a site speaks of: what is left out is at least a cell, the same in all tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_lesions import lesion, lesions

from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.counts.population import cap_patients, select_population


def of_types(*counts: int) -> list:
    labels = [kind for kind, count in zip(LESION_TYPES, counts, strict=True) for _ in range(count)]
    return [lesion(i, label=label) for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ((9, 5, 0, 0, 0, 0), "HCC HM"),
        ((9, 5, 4, 0, 0, 0), "HCC"),  # four ICC alone would follow from the total
        ((9, 5, 4, 1, 0, 0), "HCC HM"),
        ((9, 4, 0, 0, 0, 0), ""),
    ],
)
def test_small_types_take_others_with_them(counts: tuple[int, ...], shown: str) -> None:
    found = {sample.label for sample in select_population(of_types(*counts), 5)}
    assert found == set(shown.split())


def test_no_site_is_singled_out_by_what_it_leaves_out() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        cases = of_types(*rng.integers(0, 12, 6).tolist())
        left = len(cases) - len(select_population(cases, 5))
        assert left == 0 or left >= 5 or left == len(cases)


def test_a_lesion_without_a_type_counts_only_where_nothing_is_held_back() -> None:
    cases = [*of_types(6, 6, 0, 0, 0, 0), lesion(40, label=None)]
    assert len(select_population(cases, 1)) == 13
    assert len(select_population(cases, 5)) == 12


def test_a_patient_counts_with_two_lesions_at_most() -> None:
    cases = [replace(sample, patient=f"p{i // 3}") for i, sample in enumerate(lesions(8))]
    kept = cap_patients(cases[::-1], 2)
    assert [s.key for s in kept] == [s.key for s in cases[::-1] if int(s.key.rsplit("-", 1)[-1]) % 3 < 2] or len(
        kept
    ) == 6
    assert all(sum(s.patient == p for s in kept) <= 2 for p in ("p0", "p1", "p2"))
    assert {s.key for s in kept} == {s.key for s in cap_patients(cases, 2)}, "whatever the order"
