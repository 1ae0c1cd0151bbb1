from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from ceus_models.study.reader_study import READERS
from ceus_models.study.taxonomy import LESION_TYPES
from client.data.forms.columns import READS
from server.report.reference_study import READER_ACCURACY
from sim.hospital.hospital import write_hospital
from sim.patients.centers import build_split
from sim.patients.patients import draw_cases
from sim.patients.readers import COHORT, draw_reading, write_reads
from sim.phantom.draw import PRESETS

CASES = [case for case in draw_cases(build_split("paper"), 1) if case.cohort == COHORT]


@pytest.fixture(scope="module")
def right():
    """(reader, assisted) → (n seeds) which of the cohort's lesions are named rightly, over 5 seeds."""
    found = {}
    for reader, accuracies in READER_ACCURACY.items():
        for assisted, accuracy in enumerate(accuracies):
            if accuracy is not None:
                said = [
                    [draw_reading(c, reader, bool(assisted), seed).diagnosis == c.fll_type for c in CASES]
                    for seed in range(5)
                ]
                found[reader, assisted] = np.array(said)
    return found


def test_readers_are_as_right_as_the_studys(right):
    assert len(CASES) == 312
    assert set(READER_ACCURACY) == set(READERS)
    for (reader, assisted), said in right.items():
        error = np.sqrt(0.25 / said.size) * 3
        assert said.mean() == pytest.approx(READER_ACCURACY[reader][assisted], abs=error), (reader, assisted)


def test_a_hard_lesion_is_hard_for_every_reader_and_hard_types_are_missed_more(right):
    one, other = (right["junior1", 0].ravel().astype(float), right["senior1", 0].ravel().astype(float))
    assert np.corrcoef(one, other)[0, 1] > 0.15
    again = np.corrcoef(one, right["junior1", 1].ravel().astype(float))[0, 1]
    assert again > np.corrcoef(one, right["senior2", 1].ravel().astype(float))[0, 1]
    kinds = np.array([case.fll_type for case in CASES])
    by_type = {kind: right["senior2", 0][:, kinds == kind].mean() for kind in LESION_TYPES}
    assert by_type["HH"] > by_type["HA"] > by_type["ICC"]


def test_who_is_right_is_surer_and_faster_and_the_model_saves_time():
    said = {a: [draw_reading(c, "junior1", bool(a), 7) for c in CASES] for a in (0, 1)}
    right = np.array([one.diagnosis == c.fll_type for one, c in zip(said[0], CASES, strict=True)])
    sure = np.array([one.confidence for one in said[0]])
    seconds = [np.log([one.seconds for one in said[a]]) for a in (0, 1)]
    assert set(sure) == {1, 2, 3, 4, 5}
    assert sure[right].mean() > sure[~right].mean() + 0.5
    assert seconds[0][right].mean() < seconds[0][~right].mean()
    assert seconds[1].mean() < seconds[0].mean()


def test_what_is_said_depends_on_the_lesion_alone():
    alone = draw_reading(CASES[0], "mri1", False, 3)
    assert draw_reading(replace(CASES[0], cohort="other", grade=0.1), "mri1", False, 3) == alone
    with pytest.raises(ValueError, match="reads without it"):
        draw_reading(CASES[0], "mri1", True, 3)


def test_the_file_is_the_form_and_is_kept(tmp_path):
    assert write_reads(tmp_path, CASES[:4], 1)
    rows = list(csv.DictReader((tmp_path / "reads.csv").read_text().splitlines()))
    assert len(rows) == 4 * 14
    assert set(rows[0]) == {column.header for column in READS}
    assert {row["role"] for row in rows if row["assisted"] == "yes"} == {"junior", "senior"}
    before = (tmp_path / "reads.csv").read_bytes()
    assert not write_reads(tmp_path, CASES, 2)
    assert (tmp_path / "reads.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["reads.csv"]


def test_a_hospital_made_before_its_readers_gets_them_beside_the_same_videos(tmp_path):
    folder, case = tmp_path / "site", replace(CASES[0], clinical=dict(CASES[0].clinical))
    write_hospital(folder, tmp_path / "truth", case.center, [case], PRESETS["smoke"], 1)
    reads, clips = (folder / "reads.csv").read_bytes(), {p: p.stat().st_mtime_ns for p in folder.glob("clips/*")}
    (folder / "reads.csv").unlink()
    again = write_hospital(folder, tmp_path / "truth", case.center, [case], PRESETS["smoke"], 1)
    assert again.reused
    assert (folder / "reads.csv").read_bytes() == reads
    assert {p: p.stat().st_mtime_ns for p in folder.glob("clips/*")} == clips


def test_a_hospital_without_the_cohort_has_no_readers(tmp_path):
    assert not write_reads(tmp_path, [replace(CASES[0], cohort="training_a")], 1)
    assert not (tmp_path / "reads.csv").exists()
