"""Lesions that a phantom hospital has and the study does not take, up to the counts of `index` and `check`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from ceus_models.study.inclusion import EXCLUSIONS, Inclusion
from ceus_models.study.processing import Processing
from client.data.dataset.check import check_site
from client.data.dataset.index import build_index
from client.data.forms.site_config import load_site
from sim.hospital.hospital import write_hospital
from sim.patients.centers import build_split
from sim.patients.excluded import draw_excluded
from sim.patients.patients import Case, draw_cases
from sim.phantom.draw import PRESETS

SMALL = Processing(frames_to_peak=8, frames_after=4, size=24, flow_maps=2, flow_size=24)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    drawn = draw_cases(build_split({"training_a": 40}, (5,)), 1)
    kinds = {case.fll_type: case for case in drawn}
    return [kinds["HCC"], kinds["HM"], kinds.get("HH") or kinds["HA"]]


def test_each_reason_occurs_and_patients_are_new(cases: list[Case]) -> None:
    made = draw_excluded(cases, 7)
    assert len({case.lesion_id for case in made}) == len({case.patient_id for case in made}) == 7
    assert not {case.patient_id for case in made} & {case.patient_id for case in cases}
    assert draw_excluded(cases, 0) == draw_excluded([], 3) == []


def test_index_and_check_count_them_under_their_reasons(cases: list[Case], tmp_path: Path) -> None:
    made = draw_excluded(cases, len(EXCLUSIONS))
    folder, settings = tmp_path / "site-05", dataclasses.replace(PRESETS["smoke"], continuous_s=32.0)
    write_hospital(folder, tmp_path / "truth", 5, [*cases, *made], settings, 1)
    report = build_index(load_site(folder), SMALL)
    assert report.excluded == dict.fromkeys(EXCLUSIONS, 1)
    parts = [Counter(intake.excluded) for intake in report.cohorts.values()]
    assert sum(parts, Counter()) == Counter(report.excluded)
    assert (report.read + len(report.look) + sum(report.skipped.values()), report.withdrawn) == (len(cases), 0)
    checked = check_site(folder)
    assert Counter(checked.excluded) == Counter(report.excluded)
    assert checked.usable == len(cases)
    anyone = Inclusion(youngest=0, larger_than_cm=0, least_recorded=0, reference_standard=False)
    assert check_site(folder, rules=anyone).excluded == {}
    assert check_site(folder, rules=anyone).usable == len(cases) + len(EXCLUSIONS)
