"""A phantom hospital read the way its own client would, against the truth beside it."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_cases import ENTITIES, case

from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import SiteConfig, load_site, select_screens
from client.data.imaging.clip import open_clip
from client.data.outlines.outline import View, place_in_pane, read_outline
from client.data.table.manifest import read_manifest
from client.data.table.rows import Row
from sim.hospital.hospital import AVI_SHARE, DICOM_SHARE, MARKER, compute_hospital_digest, draw_style, write_hospital
from sim.hospital.screens import MAKERS
from sim.hospital.truth import read_truth
from sim.patients.patients import Case
from sim.phantom.draw import PRESETS, Truth

SETTINGS = dataclasses.replace(PRESETS["smoke"], continuous_s=32.0, snapshot_length_s=3.0)


def _cases() -> list[Case]:
    makers = list(MAKERS)
    return [case(i, *ENTITIES[i % len(ENTITIES)], maker=makers[i % len(makers)]) for i in range(18)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds site-07 and truth."""
    root = tmp_path_factory.mktemp("hospitals")
    write_hospital(root / "site-07", root / "truth", 7, _cases(), SETTINGS, 11)
    return root


@pytest.fixture(scope="module")
def site(made: Path) -> SiteConfig:
    return load_site(made / "site-07")


@pytest.fixture(scope="module")
def rows(site: SiteConfig) -> list[Row]:
    manifest = read_manifest(site)
    found, faults = manifest.rows, list(manifest.faults)
    assert not faults
    return found


@pytest.fixture(scope="module")
def truth(made: Path) -> dict[str, tuple[dict[str, object], Truth]]:
    return read_truth(made / "truth", "site-07")


def test_every_lesion_has_a_row_and_a_truth(rows: list[Row], truth: dict[str, object]) -> None:
    assert {row.lesion_id for row in rows} == set(truth) == {c.lesion_id for c in _cases()}


def test_all_containers_occur(rows: list[Row]) -> None:
    assert {row.clips[0].path.suffix for row in rows} == {".dcm", ".avi", ".mp4"}


def test_clips_have_the_true_times_and_panes(
    site: SiteConfig, rows: list[Row], truth: dict[str, tuple[dict[str, object], Truth]]
) -> None:
    for row in rows:
        facts, known = truth[row.lesion_id]
        screens = select_screens(site, row.manufacturer)
        clips = [open_clip(c.path, c.start_s, row.frame_rate_hz, screens) for c in row.clips]
        seconds = np.concatenate([clip.seconds for clip in clips])
        assert seconds == pytest.approx(known.seconds, abs=1e-6)
        layout = facts["layout"]
        assert isinstance(layout, dict)
        assert list(clips[0].contrast_box) == layout["contrast"]
        assert (clips[0].bmode_box and list(clips[0].bmode_box)) == layout["bmode"]
        assert clips[0].dynamic_range_db == MAKERS[row.manufacturer].machine.dynamic_range_db


def test_outlines_lie_on_the_lesion(
    site: SiteConfig, rows: list[Row], truth: dict[str, tuple[dict[str, object], Truth]]
) -> None:
    kinds = set()
    for row in rows:
        spec, known = row.outline, truth[row.lesion_id][1]
        first = open_clip(
            row.clips[0].path, row.clips[0].start_s, row.frame_rate_hz, select_screens(site, row.manufacturer)
        )
        outline = read_outline(spec.path, spec.frame, spec.pane)
        assert outline.frame == known.reference
        drawn = np.zeros(known.mask.shape, np.uint8)
        view = View(first.rows, first.columns, len(first.seconds), first.contrast_box, first.bmode_box)
        polygon = place_in_pane(outline, view)
        cv2.fillPoly(drawn, [np.rint(polygon).astype(np.int32)], 1)
        both = (drawn.astype(bool) & known.mask).sum()
        assert 2 * both / (drawn.sum() + known.mask.sum()) > 0.75
        kinds.add(spec.path.suffix)
    assert kinds == {".json", ".png"}


def test_contrast_pane_holds_the_lesions_contrast(
    site: SiteConfig, rows: list[Row], truth: dict[str, tuple[dict[str, object], Truth]]
) -> None:
    for row in rows[:6]:
        clip = open_clip(
            row.clips[0].path, row.clips[0].start_s, row.frame_rate_hz, select_screens(site, row.manufacturer)
        )
        before = clip.contrast.select(np.flatnonzero(clip.seconds < 7)).means.mean()
        after = clip.contrast.select(np.flatnonzero(clip.seconds > 28)).means.mean()
        assert after > before + 25
        assert truth[row.lesion_id][1].parenchyma_tic.max() > 0.5


def test_the_table_is_what_the_hospital_knows(made: Path) -> None:
    with (made / "site-07" / "lesions.csv").open(newline="", encoding="utf-8") as file:
        first = next(iter(csv.DictReader(file)))
    assert first["lesion_id"] == "L070000"
    assert first["sex"] == "male"
    assert first["Hep"] == "1"
    assert first["CK7"] == ""
    assert first["age (years)"] == "61"
    assert first["tumor_size (cm)"] == "4"
    assert (first["frame_rate_hz"] == "") == first["clips"].endswith(".dcm")


def test_same_seed_same_files(made: Path, tmp_path: Path) -> None:
    write_hospital(tmp_path / "site-07", tmp_path / "truth", 7, _cases()[:4], SETTINGS, 11)
    for path in sorted((tmp_path / "site-07" / "clips").iterdir()):
        assert path.read_bytes() == (made / "site-07" / "clips" / path.name).read_bytes()
    again = read_truth(tmp_path / "truth", "site-07")
    before = read_truth(made / "truth", "site-07")
    for key, (facts, known) in again.items():
        assert facts == before[key][0]
        assert (known.lesion_tic == before[key][1].lesion_tic).all()


def test_a_second_run_reuses_the_folder(made: Path, tmp_path: Path) -> None:
    cases = _cases()[:1]
    first = write_hospital(tmp_path / "site-07", tmp_path / "truth", 7, cases, SETTINGS, 11)
    stamp = (tmp_path / "site-07" / "lesions.csv").stat().st_mtime_ns
    second = write_hospital(tmp_path / "site-07", tmp_path / "truth", 7, cases, SETTINGS, 11)
    assert (first.reused, second.reused) == (False, True)
    assert (tmp_path / "site-07" / "lesions.csv").stat().st_mtime_ns == stamp
    third = write_hospital(tmp_path / "site-07", tmp_path / "truth", 7, cases, SETTINGS, 12)
    assert not third.reused
    marker = json.loads((tmp_path / "site-07" / MARKER).read_text())
    assert marker["digest"] == compute_hospital_digest(7, cases, SETTINGS, 12)
    assert not list(tmp_path.glob(".site-07*"))


def test_a_folder_of_another_origin_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "site-07").mkdir()
    (tmp_path / "site-07" / "lesions.csv").write_text("real")
    with pytest.raises(ExpectedError, match="expected a new folder or a phantom hospital"):
        write_hospital(tmp_path / "site-07", tmp_path / "truth", 7, _cases()[:1], SETTINGS, 11)
    assert (tmp_path / "site-07" / "lesions.csv").read_text() == "real"


def test_shares_of_the_containers() -> None:
    styles = [draw_style(PRESETS["demo"], np.random.default_rng([s, 1])) for s in range(1500)]
    share = {suffix: np.mean([s.suffix == suffix for s in styles]) for suffix in (".dcm", ".avi", ".mp4")}
    assert share[".dcm"] == pytest.approx(DICOM_SHARE, abs=0.05)
    assert share[".avi"] == pytest.approx(AVI_SHARE, abs=0.04)
    only = [s for s in styles if s.contrast_only]
    assert len(only) / 1500 == pytest.approx(0.04, abs=0.02)
    assert all(s.pane == "contrast" for s in only)
