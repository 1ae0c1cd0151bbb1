"""DICOM SR and SEG: frames count from 1, coordinates from the corner; names stay in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from made_outlines import SQUARE, report, segmentation
from pydicom.uid import DeflatedExplicitVRLittleEndian

from client.data.outlines.dicom_sr_seg import _walk_content
from client.data.outlines.outline import OutlineError, bounding_box, read_outline

DISTANCE = [[5, 5], [50, 5]]
OTHER = [[100, 20], [140, 20], [140, 60], [100, 60]]


def error_of(path: Path, frame: int | None = 3) -> OutlineError:
    with pytest.raises(OutlineError) as caught:
        read_outline(path, frame, "screen")
    return caught.value


def test_a_report_of_highdicom_gives_frame_and_points(tmp_path: Path) -> None:
    outline = read_outline(report(tmp_path / "a.dcm", frame=0), None, "screen")
    assert outline.frame == 0
    assert np.array_equal(outline.polygon, np.array(SQUARE, dtype=np.float64))


def test_a_report_may_measure_a_distance_too_but_not_outline_two_lesions(tmp_path: Path) -> None:
    with_distance = report(tmp_path / "a.dcm", distance=DISTANCE)
    assert bounding_box(read_outline(with_distance, 3, "screen").polygon) == (30, 40, 60, 80)
    assert error_of(report(tmp_path / "b.dcm", other=OTHER)).reason == "unreadable-outline"


def test_frames_of_a_segmentation_are_those_of_its_source(tmp_path: Path) -> None:
    outline = read_outline(segmentation(tmp_path / "a.dcm", frame=7), None, "screen")
    assert outline.frame == 7
    assert bounding_box(outline.polygon) == (30, 40, 60, 80)


def test_an_empty_segmentation_is_a_fault(tmp_path: Path) -> None:
    path = segmentation(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(path)
    assert error_of(path).reason == "empty-outline"


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("SegmentationType", "FRACTIONAL"),
        ("NumberOfFrames", 2),
        ("Rows", 60_000),
        ("BitsAllocated", 8),
        ("Modality", "US"),
        ("PerFrameFunctionalGroupsSequence", []),
        ("PixelData", b"\0\0"),
    ],
)
def test_odd_segmentations_are_faults(tmp_path: Path, tag: str, value: object) -> None:
    path = segmentation(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    setattr(dataset, tag, value)
    dataset.save_as(path)
    assert error_of(path).reason == "unreadable-outline"


def test_a_frame_below_1_and_a_deflated_file_are_faults(tmp_path: Path) -> None:
    path = segmentation(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    source = dataset.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedFrameNumber = 0
    dataset.save_as(path)
    assert error_of(path).reason == "unreadable-outline"
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    assert "deflated" in error_of(path).rule


def test_errors_hold_no_name(tmp_path: Path) -> None:
    path = segmentation(tmp_path / "DOE.dcm")
    content = path.read_bytes()
    for cut in range(200, len(content), 397):
        path.write_bytes(content[:cut])
        text = str(error_of(path))
        assert "DOE" not in text
        assert "JANE" not in text


def test_circles_and_ellipses_of_a_report_are_read_and_points_are_named(tmp_path: Path) -> None:
    path = report(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    (item,) = [item for item in _walk_content(dataset) if item.get("ValueType") == "SCOORD"]
    graphics: list[tuple[str, list[float]]] = [
        ("CIRCLE", [60.5, 50.5, 60.5, 70.5]),
        ("ELLIPSE", [60.5, 30.5, 60.5, 70.5, 40.5, 50.5, 80.5, 50.5]),
        ("MULTIPOINT", [1, 2, 3, 4]),
    ]
    for kind, points in graphics:
        item.GraphicType, item.GraphicData = kind, points
        dataset.save_as(path)
        if kind == "MULTIPOINT":
            assert error_of(path).reason == "outline-shape"
        else:
            assert bounding_box(read_outline(path, 3, "screen").polygon) == pytest.approx((40, 30, 80, 70))
