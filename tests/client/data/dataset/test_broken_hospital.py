"""A hospital with 5 % broken cases of ten kinds is read to the end; each is counted under its reason."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from made_clips import moving_disc, write_dicom
from small_hospital import SmallHospital, write_avi, write_outline

from ceus_models.runtime.exit_codes import run_app
from ceus_models.study.processing import load_processing
from client.cli.main import app
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site

pytestmark = pytest.mark.timeout(1200)  # 200 lesions, on a machine that may have much else to do
PLAN = "processing: {frames_to_peak: 4, frames_after: 2, size: 24, flow_maps: 1, flow_size: 24, margin_px: 4}\n"
LESIONS = 200


def untimed(hospital: SmallHospital, number: int) -> None:
    row = hospital.rows[number]
    row["clips"], row["frame_rate_hz"] = f"clips/{number}.dcm", ""
    write_dicom(hospital.folder / row["clips"], moving_disc(12), "RGB", {"NumberOfFrames": 12})


def overlapping(hospital: SmallHospital, number: int) -> None:
    row = hospital.rows[number]
    row["clips"], row["clip_start_s"] = f"{row['clips']};clips/second.avi", "5;6"
    write_avi(hospital.folder / "clips/second.avi", patient=LESIONS + number)


def short(hospital: SmallHospital, number: int) -> None:
    row = hospital.rows[number]
    row["clips"], row["frame_rate_hz"] = f"clips/{number}.dcm", ""
    write_dicom(hospital.folder / row["clips"], moving_disc(4), "RGB", {"FrameTime": 2000.0})
    write_outline(hospital.path(number, "outline"))
    row["outline"], row["outline_pane"], row["outline_frame"] = "outlines/short.json", "screen", "2"
    text = (
        hospital.path(number - 1, "outline")
        .read_text(encoding="utf-8")
        .replace('"imageWidth": 160', '"imageWidth": 128')
    )
    (hospital.folder / "outlines/short.json").write_text(text, encoding="utf-8")


def cell(column: str, value: str) -> Callable[[SmallHospital, int], None]:
    def spoil(hospital: SmallHospital, number: int) -> None:
        hospital.rows[number][column] = value

    return spoil


BROKEN: dict[str, Callable[[SmallHospital, int], object]] = {
    "unreadable-clip": lambda hospital, number: hospital.path(number, "clips").write_bytes(b"\1" * 3000),
    "missing-clip": lambda hospital, number: hospital.path(number, "clips").unlink(),
    "unknown-clip-format": cell("clips", "site.yaml"),
    "no-frame-times": untimed,
    "clips-overlap": overlapping,
    "too-few-frames": short,
    "outline-outside-frame": lambda hospital, number: write_outline(hospital.path(number, "outline"), x=150),
    "unreadable-outline": lambda hospital, number: hospital.path(number, "outline").write_text("{"),
    "outline-frame-beyond-clip": cell("outline_frame", "99"),
    "bad-date": cell("exam_date", "2021-02-30"),
}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> SmallHospital:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
    (folder / "site").mkdir()
    made = SmallHospital(folder / "site", LESIONS)
    for number, spoil in enumerate(BROKEN.values()):
        spoil(made, 7 + 19 * number)
    made.write()
    return made


def run(hospital: SmallHospital, *more: str) -> int:
    plan = str(hospital.folder.parent / "plan.yaml")
    return run_app(app, ["index", str(hospital.folder), "--plan", plan, "--workers", "2", *more])


def test_it_is_read_to_the_end_and_each_is_counted(hospital: SmallHospital, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hospital, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["skipped"] == dict.fromkeys(BROKEN, 1)
    assert report["read"] + len(report["look"]) == LESIONS - len(BROKEN)
    assert [fault["row"] for fault in report["faults"]] == [9 + 19 * number for number in range(len(BROKEN))]
    plan = load_processing(hospital.folder.parent / "plan.yaml")
    assert len(load_samples(load_site(hospital.folder), plan)) == report["read"]


def test_above_the_sites_limit_it_stops_with_the_list(
    hospital: SmallHospital, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    site = hospital.folder / "site.yaml"
    site.write_text(site.read_text(encoding="utf-8") + "max_skipped: 0.04\n", encoding="utf-8")
    assert run(hospital) == 1
    told = capsys.readouterr()
    assert f"at most 4% of the lesions may be skipped (max_skipped in site.yaml), found 10 of {LESIONS}" in told.err
    for reason in BROKEN:
        assert f"{reason} 1" in told.err
    for row in range(9, 9 + 19 * len(BROKEN), 19):
        assert f" row {row}, " in told.out
    assert not (hospital.folder / ".ceus" / "index.json").exists()
