"""LabelMe: its shapes are read or named by their kind, its labels in any letters, its picture's frame held up."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_outlines import COLUMNS, ROWS, SQUARE, cvat_images, labelme, painted, segmentation

from client.data.outlines.outline import OutlineError, bounding_box, read_outline

OTHER = [[100, 20], [140, 20], [140, 60], [100, 60]]


def write(path: Path, *shapes: dict[str, Any], **more: Any) -> Path:
    size = {"imageHeight": ROWS, "imageWidth": COLUMNS}
    path.write_text(json.dumps({"shapes": shapes, **size, **more}), encoding="utf-8")
    return path


def shape(kind: str, points: Any, label: str = "lesion", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, **more}


def error_of(path: Path, frame: int | None = 3, labels: dict[str, str] | None = None) -> OutlineError:
    with pytest.raises(OutlineError) as caught:
        read_outline(path, frame, "screen", labels or {})
    return caught.value


def area_of(polygon: Any) -> float:
    return float(cv2.contourArea(polygon.astype(np.float32)))


def test_a_circle_has_its_center_and_a_point_of_its_border(tmp_path: Path) -> None:
    polygon = read_outline(write(tmp_path / "a.json", shape("circle", [[60, 50], [60, 70]])), 3, "screen").polygon
    assert bounding_box(polygon) == pytest.approx((40, 30, 80, 70))
    assert area_of(polygon) == pytest.approx(np.pi * 20**2, rel=0.005)


def test_a_rectangle_has_two_corners_in_any_order(tmp_path: Path) -> None:
    for corners in ([[30, 40], [60, 80]], [[60, 40], [30, 80]]):
        polygon = read_outline(write(tmp_path / "a.json", shape("rectangle", corners)), 3, "screen").polygon
        assert bounding_box(polygon) == (30, 40, 60, 80)
        assert area_of(polygon) == 1200


def test_a_mask_lies_in_its_box(tmp_path: Path) -> None:
    """As LabelMe's label files have it: a PNG of the box's size, from its first to its last pixel."""
    inside = painted()[38:83, 28:63]
    code = base64.b64encode(cv2.imencode(".png", inside)[1].tobytes()).decode()
    drawn = shape("mask", [[28, 38], [62, 82]], mask=code)
    assert bounding_box(read_outline(write(tmp_path / "a.json", drawn), 3, "screen").polygon) == (30, 40, 60, 80)
    for spoilt in ({"points": [[28, 38], [70, 82]]}, {"mask": "no base64"}, {"mask": None}, {"mask": code[:40]}):
        assert error_of(write(tmp_path / "a.json", {**drawn, **spoilt})).reason == "unreadable-outline"


@pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points"])
def test_shapes_that_enclose_nothing_are_named(tmp_path: Path, kind: str) -> None:
    error = error_of(write(tmp_path / "a.json", shape(kind, SQUARE)))
    assert (error.reason, error.value) == ("outline-shape", f"a {kind}")
    beside = write(tmp_path / "a.json", shape("polygon", SQUARE), shape(kind, OTHER[:2], "diameter"))
    assert bounding_box(read_outline(beside, 3, "screen").polygon) == (30, 40, 60, 80)


def test_an_unknown_kind_is_refused_without_its_word(tmp_path: Path) -> None:
    error = error_of(write(tmp_path / "a.json", shape("Wang", SQUARE)))
    assert error.reason == "outline-shape"
    assert "Wang" not in str(error)


@pytest.mark.parametrize(
    ("kind", "points"), [("circle", SQUARE), ("rectangle", [[1, 2]]), ("mask", []), ("circle", None)]
)
def test_a_shape_with_other_points_than_its_kind_has_is_a_fault(tmp_path: Path, kind: str, points: Any) -> None:
    assert error_of(write(tmp_path / "a.json", shape(kind, points))).reason == "unreadable-outline"


# Labels


@pytest.mark.parametrize("label", ["Lesion", "LESION", " lesion ", "Ｌｅｓｉｏｎ"])
def test_the_label_is_matched_in_any_letters(tmp_path: Path, label: str) -> None:
    path = write(tmp_path / "a.json", shape("polygon", OTHER, "Liver"), shape("polygon", SQUARE, label))
    assert bounding_box(read_outline(path, 3, "screen").polygon) == (30, 40, 60, 80)
    cvat = cvat_images(tmp_path / "a.xml", label=label)
    text = cvat.read_text(encoding="utf-8")
    other = '<polygon label="Liver" points="1,1;90,1;90,90"/></image>'
    cvat.write_text(text.replace("</image>", other), encoding="utf-8")
    assert bounding_box(read_outline(cvat, 3, "screen").polygon) == (30, 40, 60, 80)


def test_the_hospitals_labels_say_what_is_a_lesion_and_what_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", shape("polygon", SQUARE, "病灶"), shape("polygon", OTHER, "Liver"))
    error = error_of(path)
    assert (error.reason, error.value) == ("unreadable-outline", "2 of them")
    assert "outline_labels" in error.remedy
    for labels in ({"病灶": "lesion"}, {"LIVER": "other"}):
        assert bounding_box(read_outline(path, 3, "screen", labels).polygon) == (30, 40, 60, 80)
    alone = write(tmp_path / "b.json", shape("polygon", OTHER, "liver"))
    assert error_of(alone, labels={"Liver": "other"}).value == "0 of them"
    seg = segmentation(tmp_path / "a.dcm", label="Liver")
    assert error_of(seg, labels={"liver": "other"}).value == "0 of them"


# The frame


@pytest.mark.parametrize(
    "name", ["frame_000005.png", "..\\frames\\P7-Frame 5.PNG", "第5帧.png", "ceus_frm005.jpg", "x/帧5.bmp"]
)
def test_a_picture_of_another_frame_than_the_tables_is_told(tmp_path: Path, name: str) -> None:
    """The number may count from 0 or from 1."""
    path = write(tmp_path / "a.json", shape("polygon", SQUARE), imagePath=name)
    assert [read_outline(path, frame, "screen").frame for frame in (4, 5)] == [4, 5]
    for frame in (3, 6, 19):
        error = error_of(path, frame)
        assert (error.reason, error.value) == (
            "outline-frame-disagrees",
            f"{frame} in the table (counted from 0), 5 in the name",
        )
    assert error_of(path, None).reason == "outline-frame-missing"


def test_the_name_of_the_file_itself_tells_a_frame_too(tmp_path: Path) -> None:
    path = write(tmp_path / "frame_000005.json", shape("polygon", SQUARE), imagePath="x.png")
    assert error_of(path, 19).reason == "outline-frame-disagrees"
    (tmp_path / "p_frame5.png").write_bytes(cv2.imencode(".png", painted() * np.uint8(255))[1].tobytes())
    assert error_of(tmp_path / "p_frame5.png", 19).reason == "outline-frame-disagrees"
    assert read_outline(tmp_path / "p_frame5.png", 5, "screen").frame == 5


def test_a_frame_that_the_file_states_counts_more_than_a_name(tmp_path: Path) -> None:
    path = labelme(tmp_path / "a.json", frame=7, imagePath="frame_000005.png")
    assert read_outline(path, 7, "screen").frame == 7
    assert error_of(path, 5).reason == "outline-frame-disagrees"


@pytest.mark.parametrize("name", ["IMG_0012.png", "20210307.png", "P1234_143.png", "", None, 3])
def test_other_numbers_in_a_name_are_no_frame(tmp_path: Path, name: object) -> None:
    path = write(tmp_path / "a.json", shape("polygon", SQUARE), imagePath=name)
    assert read_outline(path, 3, "screen").frame == 3
