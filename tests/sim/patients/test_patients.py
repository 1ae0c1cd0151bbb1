"""Simulated patients: Table 1 to the lesion, priors as published, one patient in one place."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from ceus_models.study.cohorts import assign_cohort
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, CLINICAL_NAMES, COHORTS, LESION_TYPES, MALIGNANT_TYPES
from sim.patients.centers import Split, build_split, draw_devices
from sim.patients.immunohistochemistry import compute_markers
from sim.patients.labs import draw_labs
from sim.patients.patients import Case, draw_cases
from sim.patients.persons import Person, Slot, draw_person
from sim.patients.priors import LABS
from sim.patients.table_one import count_table_one

# Ding et al. 2025, Table 1, lesions in the order of COHORTS.
PUBLISHED = {
    "age_years": {
        "<50": (590, 150, 34, 17, 27, 57, 66),
        "50-60": (732, 219, 83, 37, 35, 98, 118),
        ">60": (766, 223, 117, 56, 51, 121, 128),
    },
    "sex": {"male": (1515, 410, 157, 77, 80, 192, 225), "female": (573, 182, 77, 33, 33, 84, 87)},
    "viral_hepatitis_history": {
        "no": (952, 249, 109, 55, 53, 139, 155),
        "yes": (1136, 343, 125, 55, 60, 137, 157),
    },
    "malignancy_history": {
        "no": (1232, 363, 153, 71, 76, 179, 205),
        "yes": (856, 229, 81, 39, 37, 97, 107),
    },
    "tumor_size_cm": {
        "<3": (457, 127, 46, 32, 28, 53, 72),
        "3-5": (835, 269, 120, 42, 39, 100, 99),
        "5-10": (624, 157, 52, 27, 33, 88, 103),
        ">10": (172, 39, 16, 9, 13, 35, 38),
    },
}
SIZES = (2088, 592, 234, 110, 113, 276, 312)
DEMO = dict(zip(COHORTS, (310, 88, 140, 36, 37, 89, 100), strict=True))
SMOKE = dict(zip(COHORTS, (14, 6, 8, 4, 4, 4, 7), strict=True))


@pytest.fixture(scope="module")
def paper() -> Split:
    return build_split("paper")


@pytest.fixture(scope="module")
def cases(paper: Split) -> tuple[Case, ...]:
    return draw_cases(paper, 1)


@pytest.fixture(scope="module")
def persons() -> dict[str, list[Person]]:
    """Three thousand patients of each of three types, before any margin."""
    return {
        kind: [draw_person(Slot(50, "internal_test", kind, (n,)), 5) for n in range(1, 3001)]
        for kind in ("HCC", "ICC", "HM")
    }


def known(cases: Sequence[Case], name: str, kind: str) -> npt.NDArray[np.float64]:
    values = (case.clinical[name] for case in cases if case.fll_type == kind)
    return np.array([value for value in values if value is not None])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_paper_census_is_table_1(paper: Split, seed: int) -> None:
    census = count_table_one(draw_cases(paper, seed), "paper")
    assert census["scale"] == "paper"
    assert census["totals"] == {"lesions": 3725, "patients": 3342, "centers": 52, "manufacturers": 9}
    for i, cohort in enumerate(COHORTS):
        counted = census["cohorts"][cohort]
        assert counted["lesions"] == SIZES[i]
        for row, bands in PUBLISHED.items():
            assert list(counted[row]) == list(bands)
            for band, counts in bands.items():
                assert abs(counted[row][band] - counts[i]) / SIZES[i] < 0.02, (cohort, row, band)
    a, validation = census["cohorts"]["training_a"], census["cohorts"]["validation"]
    assert a["fll_type"] == {"HCC": 1122, "HM": 643, "ICC": 126, "HH": 103, "HA": 94, "OT": 0}
    assert a["biomarkers"] == {"any": 624, "Hep": 499, "GPC3": 436, "CK7": 513, "CK19": 550}
    assert validation["biomarkers"] == {"any": 181, "Hep": 135, "GPC3": 109, "CK7": 130, "CK19": 123}


def test_the_census_counts_each_center(cases: tuple[Case, ...]) -> None:
    census = count_table_one(cases, "paper")
    assert list(census["centers"]) == [str(center) for center in range(1, 53)]
    for cohort in COHORTS:
        per_center = [counts.get(cohort, 0) for counts in census["centers"].values()]
        assert sum(per_center) == census["cohorts"][cohort]["lesions"]


def test_same_seed_same_patients(paper: Split, cases: tuple[Case, ...]) -> None:
    assert draw_cases(paper, 1) == cases
    other = draw_cases(paper, 2)
    assert len(other) == len(cases)
    assert sum(a.exam_date == b.exam_date for a, b in zip(cases, other, strict=True)) < 100


@pytest.mark.parametrize(
    ("sizes", "centers"),
    [("paper", None), (DEMO, None), (SMOKE, (1, 2, 37, 50, 51, 52))],
    ids=["paper", "demo", "smoke"],
)
def test_a_patient_is_in_one_place_and_the_rule_finds_the_cohort(
    sizes: dict[str, int], centers: tuple[int, ...] | None
) -> None:
    study = build_split(sizes, centers)
    drawn = draw_cases(study, 3)
    cells = Counter((case.center, case.cohort, case.fll_type) for case in drawn)
    assert dict(cells) == dict(study.cells)
    lesions_of = defaultdict(list)
    for case in drawn:
        assert assign_cohort(case.center, case.exam_date, case.patient_id) == case.cohort
        assert case.manufacturer in draw_devices()[case.center]
        lesions_of[case.patient_id].append(case)
    for lesions in lesions_of.values():
        shared = {(c.center, c.exam_date, c.fll_type, c.subtype, c.grade, c.clinical["AFP"]) for c in lesions}
        assert len(shared) == 1
        assert len(lesions) <= 3
    assert len({(case.center, case.lesion_id) for case in drawn}) == len(drawn)
    # Fewer lesions a cell leave fewer that can share a patient: exact at the study's size, near it below.
    wanted = sum(study.patients.values())
    assert wanted <= len(lesions_of) <= wanted * (1 if study.scale == "paper" else 1.05)


def test_results_of_a_cohort_are_as_many_as_the_split_says() -> None:
    for sizes, centers in ((DEMO, None), (SMOKE, (1, 2, 37, 50, 51, 52))):
        study = build_split(sizes, centers)
        census = count_table_one(draw_cases(study, 4), "demo")
        for cohort in COHORTS:
            assert census["cohorts"][cohort]["biomarkers"] == study.results[cohort]


def test_values_are_recorded_and_plausible(cases: tuple[Case, ...]) -> None:
    never_missing = (*CLINICAL_NAMES[:7], "diabetes")
    for case in cases:
        assert tuple(case.clinical) == CLINICAL_NAMES
        assert case.clinical["tumor_size"] == case.size_cm
        assert 0 <= case.grade <= 1
        assert bool(case.subtype) == (case.fll_type in ("HM", "OT"))
        for variable in CLINICAL:
            value = case.clinical[variable.name]
            assert value is not None or variable.name not in never_missing
            assert value is None or variable.low <= value <= variable.high
    for name in LABS:
        missing = np.mean([case.clinical[name] is None for case in cases])
        assert 0.03 < missing < 0.27, name


def test_tested_lesions_are_malignant_and_confirmed(cases: tuple[Case, ...]) -> None:
    with_result = [case for case in cases if any(value is not None for value in case.biomarkers.values())]
    assert all(case.pathology_confirmed for case in with_result)
    assert np.mean([case.fll_type in MALIGNANT_TYPES for case in with_result]) > 0.9
    assert all(case.pathology_confirmed for case in cases if case.fll_type in MALIGNANT_TYPES)
    assert 0 < np.mean([case.pathology_confirmed for case in cases if case.fll_type in ("HH", "HA")]) < 0.3
    assert min(case.size_cm for case in cases) > 1


def test_published_checks_of_hcc(cases: tuple[Case, ...]) -> None:
    """P(AFP > 400) 20-34 %, CA19-9 > 39 10-19 %, CEA > 10 0.4-1 %, PLT <= 100 17.5-24 %; less where it is pulled."""
    assert 0.15 < (known(cases, "AFP", "HCC") > 400).mean() < 0.34
    assert 0.10 < (known(cases, "CA19-9", "HCC") > 39).mean() < 0.19
    assert (known(cases, "CEA", "HCC") > 10).mean() < 0.015
    assert 0.14 < (known(cases, "PLT", "HCC") <= 100).mean() < 0.28


def test_type_priors_survive_the_margins(cases: tuple[Case, ...]) -> None:
    """Shares and medians of each type stay near the priors although Table 1 is met."""
    expected = {
        "viral_hepatitis": {"HCC": 0.82, "HM": 0.22, "ICC": 0.38, "HH": 0.18, "HA": 0.18, "OT": 0.22},
        "malignancy_history": {"HCC": 0.20, "HM": 0.85, "ICC": 0.20, "HH": 0.18, "HA": 0.18, "OT": 0.22},
        "sex": {"HCC": 0.86, "HM": 0.57, "ICC": 0.58, "HH": 0.38, "HA": 0.60},
        "cirrhosis": {"HCC": 0.54, "HM": 0.05, "ICC": 0.18, "HH": 0.03, "HA": 0.05},
        "fatty_liver": {"HCC": 0.10, "HM": 0.31, "ICC": 0.20, "HH": 0.29, "HA": 0.32},
        "diabetes": {"HCC": 0.16, "HM": 0.14, "ICC": 0.16, "HH": 0.07, "HA": 0.40},
    }
    for name, shares in expected.items():
        for kind, share in shares.items():
            values = known(cases, name, kind)
            assert values.mean() == pytest.approx(share, abs=0.03 + 2.5 * np.sqrt(share * (1 - share) / len(values)))
    assert np.median(known(cases, "WBC", "HA")) > 1.5 * np.median(known(cases, "WBC", "HH"))
    assert known(cases, "ALB", "HA").mean() == pytest.approx(32.7, abs=1.5)
    assert known(cases, "age", "HH").mean() == pytest.approx(47, abs=3)
    assert known(cases, "tumor_size", "ICC").mean() > 1.3 * known(cases, "tumor_size", "HCC").mean()


def test_laboratory_medians_keep_seven_tenths_of_their_distance_from_the_mixture() -> None:
    """Of AFP in HCC, against the published median of 33 ng/mL and the types' mean logarithm in Table 1."""
    published = (33, 2.8, 4, 2.6, 2.4, 2.8)
    middle = np.average(np.log(published), weights=(1935, 1043, 234, 225, 217, 71))
    assert np.log(LABS["AFP"].of_type["HCC"][0]) == pytest.approx(0.7 * np.log(33) + 0.3 * middle)
    albumin = np.average((38.5, 40, 39, 43.5, 30, 41.5), weights=(1935, 1043, 234, 225, 217, 71))
    assert LABS["ALB"].of_type["HA"][0] == pytest.approx(0.7 * 30 + 0.3 * albumin)


@pytest.mark.parametrize("seed", [1, 2])
def test_correlation_selects_the_variables_of_the_study_among_more_candidates(paper: Split, seed: int) -> None:
    """SciPy's r on pooled rows of training A: above 0.2 for the study's, below it for others."""
    trained = [case for case in draw_cases(paper, seed) if case.cohort == "training_a"]
    strongest = {}
    for variable in CLINICAL:
        rows = [(value, case.fll_type) for case in trained if (value := case.clinical[variable.name]) is not None]
        values = [variable.apply_transform(value) for value, _ in rows]
        of_types = [[kind == name for _, kind in rows] for name in LESION_TYPES[:5]]
        strongest[variable.name] = max(abs(stats.pearsonr(values, of).statistic) for of in of_types)
    selected = {name for name, r in strongest.items() if r > 0.2}
    assert selected <= {variable.name for variable in CLINICAL if not variable.optional}
    assert 15 <= len(selected) <= 17


def test_clinical_variables_alone_do_not_give_the_type_away(cases: tuple[Case, ...]) -> None:
    """A logistic regression on training B, rows standardised, 0 and a flag where nothing is recorded."""

    def encode(cohorts: Sequence[str]) -> tuple[npt.NDArray[np.float64], list[str]]:
        chosen = [case for case in cases if case.cohort in cohorts]
        rows = [
            [np.nan if (x := case.clinical[v.name]) is None else v.apply_transform(x) for v in CLINICAL[:17]]
            for case in chosen
        ]
        return np.array(rows), [case.fll_type for case in chosen]

    trained, _ = encode(["training_a"])
    mean, sd = np.nanmean(trained, axis=0), np.nanstd(trained, axis=0)

    def standardise(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.hstack([np.nan_to_num((rows - mean) / sd), np.isnan(rows)])

    rows, types = encode(["training_b"])
    model = LogisticRegression(max_iter=5000).fit(standardise(rows), types)
    tested, truth = encode(["internal_test", "external_test_a", "external_test_b", "external_test_c"])
    assert 0.62 < model.score(standardise(tested), truth) < 0.73


def test_cirrhosis_shows_in_the_blood_and_hepatitis_in_cirrhosis(cases: tuple[Case, ...]) -> None:
    hcc = [case for case in cases if case.fll_type == "HCC"]
    with_it = [case for case in hcc if case.clinical["cirrhosis"]]
    without = [case for case in hcc if not case.clinical["cirrhosis"]]

    def median(group: list[Case], name: str) -> float:
        return float(np.median(known(group, name, "HCC")))

    assert median(with_it, "PLT") / median(without, "PLT") == pytest.approx(0.6, abs=0.06)
    assert median(with_it, "AST") / median(without, "AST") == pytest.approx(1.3, abs=0.15)
    assert median(with_it, "ALB") - median(without, "ALB") == pytest.approx(-4, abs=1)
    infected = [case.clinical["cirrhosis"] == 1 for case in cases if case.clinical["viral_hepatitis"]]
    others = [case.clinical["cirrhosis"] == 1 for case in cases if not case.clinical["viral_hepatitis"]]
    assert np.mean(infected) > 0.5 > 4 * np.mean(others)


def test_the_joint_keratin_table_of_hcc(persons: dict[str, list[Person]]) -> None:
    """Durnez 2006: CK7-19- 72 %, CK7+19- 12 %, CK7-19+ 6 %, CK7+19+ 10 %."""
    pairs = Counter((status["CK7"], status["CK19"]) for status in map(compute_markers, persons["HCC"]))
    for pair, share in {(0, 0): 0.72, (1, 0): 0.12, (0, 1): 0.06, (1, 1): 0.10}.items():
        assert pairs[pair] / 3000 == pytest.approx(share, abs=0.025)


def test_marker_positivity_by_type(persons: dict[str, list[Person]]) -> None:
    expected = {
        "HCC": (0.85, 0.75, 0.22, 0.16),
        "ICC": (0.08, 0.06, 0.88, 0.90),
        "HM": (0.04, 0.05, 0.48, 0.84),
    }
    for kind, shares in expected.items():
        status = [compute_markers(person) for person in persons[kind]]
        for name, share in zip(BIOMARKERS, shares, strict=True):
            assert np.mean([row[name] for row in status]) == pytest.approx(share, abs=0.04), (kind, name)


def test_markers_follow_grade_and_primary(persons: dict[str, list[Person]]) -> None:
    """A marker must be readable within a class: poor grade gains GPC3 and CK19, loses Hep; CRC lacks CK7."""
    status = [compute_markers(person) for person in persons["HCC"]]
    grade = np.array([person.grade_z for person in persons["HCC"]])
    for name, sign in (("Hep", -1), ("GPC3", 1), ("CK7", 1), ("CK19", 1)):
        positive = np.array([row[name] for row in status], dtype=bool)
        gap = sign * (grade[positive].mean() - grade[~positive].mean())
        assert 0.6 < gap < 2.0, name
    primaries = defaultdict(list)
    for person in persons["HM"]:
        primaries[person.subtype].append(compute_markers(person)["CK7"])
    assert np.mean(primaries["CRC"]) == pytest.approx(0.17, abs=0.04)
    assert np.mean(primaries["pancreas"]) > 0.8
    assert len(primaries["CRC"]) / 3000 == pytest.approx(121 / 240, abs=0.03)


def test_keratin_19_goes_with_high_afp(persons: dict[str, list[Person]]) -> None:
    afp = np.array([draw_labs(person, True, 5)["AFP"] or np.nan for person in persons["HCC"]])
    positive = np.array([compute_markers(person)["CK19"] for person in persons["HCC"]], dtype=bool)
    assert np.nanmean(afp[positive] > 400) > 1.5 * np.nanmean(afp[~positive] > 400)


def test_every_type_of_the_study_is_drawn(cases: tuple[Case, ...]) -> None:
    assert {case.fll_type for case in cases} == set(LESION_TYPES)
    assert {case.subtype for case in cases if case.fll_type == "OT"} == {"FNH", "HCA", "LYM", "SAR", "NEN", "LIP"}


def test_lipoma_is_one_in_ten_of_the_other_lesions_and_known_without_pathology(cases: tuple[Case, ...]) -> None:
    persons = [draw_person(Slot(1, "training_a", "OT", (number,)), 5) for number in range(1, 2001)]
    assert np.mean([person.subtype == "LIP" for person in persons]) == pytest.approx(0.10, abs=0.02)
    lipomas = [case for case in cases if case.subtype == "LIP"]
    assert lipomas
    assert all(case.pathology_confirmed or case.followed_up for case in lipomas)
    assert not all(case.pathology_confirmed for case in lipomas)
