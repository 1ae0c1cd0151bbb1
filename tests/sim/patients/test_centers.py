"""The split is the study's at its own size, and in proportion below it."""

from __future__ import annotations

from collections import Counter

import pytest

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import BIOMARKERS, COHORTS, LESION_TYPES
from sim.patients.centers import Split, build_split, draw_devices, list_centers

# Ding et al. 2025, Table 1: HCC, HM, ICC, HH, HA, OT.
PUBLISHED_TYPES = {
    "training_a": (1122, 643, 126, 103, 94, 0),
    "validation": (315, 169, 36, 34, 38, 0),
    "training_b": (128, 45, 15, 12, 18, 16),
    "internal_test": (60, 24, 7, 4, 8, 7),
    "external_test_a": (56, 23, 6, 10, 11, 7),
    "external_test_b": (120, 67, 16, 31, 23, 19),
    "external_test_c": (134, 72, 28, 31, 25, 22),
}
DEMO = dict(zip(COHORTS, (310, 88, 140, 36, 37, 89, 100), strict=True))
SMOKE = dict(zip(COHORTS, (14, 6, 8, 4, 4, 4, 7), strict=True))
SMOKE_CENTERS = (1, 2, 37, 50, 51, 52)


def per_center(study: Split, *cohorts: str) -> Counter[int]:
    counts: Counter[int] = Counter()
    for (center, cohort, _), count in study.cells.items():
        if not cohorts or cohort in cohorts:
            counts[center] += count
    return counts


def types_of(study: Split, cohort: str) -> tuple[int, ...]:
    counts: Counter[str] = Counter()
    for (_, name, fll_type), count in study.cells.items():
        if name == cohort:
            counts[fll_type] += count
    return tuple(counts[name] for name in LESION_TYPES)


def test_the_paper_split_is_the_published_one() -> None:
    study = build_split("paper")
    assert {cohort: types_of(study, cohort) for cohort in COHORTS} == PUBLISHED_TYPES
    assert sum(study.cells.values()) == 3725
    assert sum(study.patients.values()) == 3342
    assert study.results["training_a"] == {"any": 624, "Hep": 499, "GPC3": 436, "CK7": 513, "CK19": 550}
    assert study.results["validation"] == {"any": 181, "Hep": 135, "GPC3": 109, "CK7": 130, "CK19": 123}


def test_every_cohort_lies_in_its_own_centers() -> None:
    for center, cohort, _ in build_split("paper").cells:
        assert center in list_centers(cohort)
    assert list_centers("validation") == tuple(range(1, 37))
    assert list_centers("training_b") == tuple(range(37, 50))
    assert [list_centers(name) for name in COHORTS[3:6]] == [(50,), (51,), (52,)]


def test_centers_are_as_unequal_as_real_ones() -> None:
    sizes = per_center(build_split("paper"), "training_a", "validation")
    assert len(sizes) == 36
    assert 10 <= max(sizes.values()) / min(sizes.values()) <= 20
    # Number and size are unrelated: the largest center is not the first one.
    assert sorted(sizes, key=lambda center: -sizes[center]) != sorted(sizes)


@pytest.mark.parametrize("size", ["paper", DEMO])
def test_every_center_has_lesions_and_takes_part_in_the_prospective_year(size: dict[str, int]) -> None:
    study = build_split(size)
    assert study.centers == tuple(range(1, 53))
    assert len(per_center(study, "external_test_c")) == 52
    assert len(per_center(study, "training_a")) == 36
    assert len(per_center(study, "training_b")) == 13


@pytest.mark.parametrize(("size", "centers"), [(DEMO, None), (SMOKE, SMOKE_CENTERS)])
def test_below_the_study_counts_are_in_proportion(size: dict[str, int], centers: tuple[int, ...] | None) -> None:
    study = build_split(size, centers)
    for cohort, total in size.items():
        published = PUBLISHED_TYPES[cohort]
        exact = [total * count / sum(published) for count in published]
        assert study.lesions(cohort) == total
        assert all(abs(n - x) < 1 for n, x in zip(types_of(study, cohort), exact, strict=True))
        results = study.results[cohort]
        assert max(results[name] for name in BIOMARKERS) <= results["any"] <= total
        assert all(sum(bands.values()) == total for bands in study.margins[cohort].values())
        assert study.patients[cohort] <= total
    assert types_of(study, "training_a")[-1] == 0 == types_of(study, "validation")[-1]


def test_a_subset_of_centers_is_kept() -> None:
    assert build_split(SMOKE, SMOKE_CENTERS).centers == SMOKE_CENTERS


@pytest.mark.parametrize(
    ("sizes", "centers", "words"),
    [
        ({"training_c": 5}, None, "expected a cohort of training_a.*training_c"),
        ({"training_a": 5}, (1, 53), "expected a center from 1 to 52, found 53"),
        ({"training_a": -1, "validation": 3}, None, "found -1"),
        ({"training_a": 5, "training_b": 5}, (1, 2), "training_b.*37-49"),
        ({}, None, "at least one lesion"),
    ],
)
def test_an_impossible_split_is_refused(sizes: dict[str, int], centers: tuple[int, ...] | None, words: str) -> None:
    with pytest.raises(ExpectedError, match=words):
        build_split(sizes, centers)


def test_machines_are_as_many_as_in_the_study() -> None:
    machines = draw_devices()
    assert sum(len(makers) for makers in machines.values()) == 226
    assert len({maker for makers in machines.values() for maker in makers}) == 9
    assert set(machines) == set(range(1, 53))
    assert min(len(makers) for makers in machines.values()) >= 2
