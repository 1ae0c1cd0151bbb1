"""Outlines from LabelMe and from masks end as the same polygon; what cannot be used says why."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from client.outline import Outline, OutlineError, bounding_box, check_screen, in_pane, read_outline

ROWS, COLUMNS = 120, 200
SQUARE = [[30, 40], [60, 40], [60, 80], [30, 80]]


def labelme(path: Path, points: Any = SQUARE, **more: Any) -> Path:
    shape = {"label": "lesion", "points": points, "shape_type": "polygon"}
    document = {"shapes": [shape], "imageHeight": ROWS, "imageWidth": COLUMNS, **more}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def mask(path: Path, *boxes: tuple[int, int, int, int]) -> Path:
    picture = np.zeros((ROWS, COLUMNS), np.uint8)
    for x0, y0, x1, y1 in boxes:
        picture[y0 : y1 + 1, x0 : x1 + 1] = 255
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return path


def reason_of(path: Path, frame: int | None = 3) -> str:
    with pytest.raises(OutlineError) as caught:
        read_outline(path, frame, "screen")
    assert caught.value.rule
    assert caught.value.remedy
    return caught.value.reason


def test_a_polygon_and_a_mask_of_one_lesion_have_one_rectangle(tmp_path: Path) -> None:
    polygon = read_outline(labelme(tmp_path / "a.json"), 3, "contrast")
    painted = read_outline(mask(tmp_path / "a.png", (30, 40, 60, 80)), 3, "contrast")
    assert bounding_box(polygon.polygon) == bounding_box(painted.polygon) == (30, 40, 60, 80)
    assert polygon.screen == painted.screen == (ROWS, COLUMNS)
    assert polygon.frame == painted.frame == 3
    assert polygon.polygon.dtype == painted.polygon.dtype == np.float64


def test_a_mask_follows_an_irregular_border_to_the_pixel(tmp_path: Path) -> None:
    blob = np.zeros((ROWS, COLUMNS), np.uint8)
    cv2.ellipse(blob, (90, 60), (33, 17), 25.0, 0, 360, 255, -1)
    (tmp_path / "m.png").write_bytes(cv2.imencode(".png", blob)[1].tobytes())
    outline = read_outline(tmp_path / "m.png", 0, "screen")
    filled = cv2.fillPoly(np.zeros_like(blob), [outline.polygon.astype(np.int32)], 255)
    assert np.array_equal(filled, blob)


def test_the_frame_comes_from_the_table_or_the_file_and_they_must_agree(tmp_path: Path) -> None:
    stated = labelme(tmp_path / "a.json", frame=7)
    assert read_outline(stated, None, "screen").frame == 7
    assert read_outline(stated, 7, "screen").frame == 7
    assert reason_of(stated, 8) == "outline-frame-disagrees"
    assert reason_of(labelme(tmp_path / "b.json"), None) == "outline-frame-missing"


def test_the_shape_called_lesion_is_taken_among_others(tmp_path: Path) -> None:
    other = {"label": "vessel", "points": [[0, 0], [9, 0], [9, 9]], "shape_type": "polygon"}
    lesion = {"label": "lesion", "points": SQUARE, "shape_type": "polygon"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"shapes": [other, lesion]}), encoding="utf-8")
    assert bounding_box(read_outline(path, 0, "screen").polygon) == (30, 40, 60, 80)
    path.write_text(json.dumps({"shapes": [lesion, lesion]}), encoding="utf-8")
    assert reason_of(path) == "unreadable-outline"


@pytest.mark.parametrize(
    "points",
    [
        SQUARE[:2],
        [],
        [[1, 2, 3]] * 4,
        [["1", "2"]] * 4,
        [[float("nan"), 1]] * 4,
        [[1e300, 1]] * 4,
        [[True, 1]] * 4,
        None,
    ],
)
def test_odd_points_are_faults(tmp_path: Path, points: Any) -> None:
    assert reason_of(labelme(tmp_path / "a.json", points)) == "unreadable-outline"


def test_an_outline_without_area_is_empty(tmp_path: Path) -> None:
    assert reason_of(labelme(tmp_path / "a.json", [[5, 5], [50, 5], [90, 5]])) == "empty-outline"
    assert reason_of(mask(tmp_path / "a.png")) == "empty-outline"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"shapes": 3}', b"[" * 100_000, b'{"shapes": [3]}']
)
def test_broken_json_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert reason_of(tmp_path / "a.json") == "unreadable-outline"


def test_broken_huge_and_double_masks_are_faults(tmp_path: Path) -> None:
    whole = mask(tmp_path / "a.png", (30, 40, 60, 80)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:40])
    (tmp_path / "text.png").write_bytes(b"no picture")
    (tmp_path / "huge.png").write_bytes(whole[:16] + (60_000).to_bytes(4, "big") * 2 + whole[24:])
    for name in ("cut.png", "text.png", "huge.png"):
        assert reason_of(tmp_path / name) == "unreadable-outline"
    assert reason_of(mask(tmp_path / "two.png", (10, 10, 40, 40), (100, 50, 130, 80))) == "unreadable-outline"
    specks = mask(tmp_path / "speck.png", (10, 10, 40, 40), (100, 50, 101, 51))
    assert bounding_box(read_outline(specks, 0, "screen").polygon) == (10, 10, 40, 40)


def test_missing_and_foreign_files_are_faults(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "none.json") == "missing-outline"
    (tmp_path / "a.nii").write_bytes(b"")
    assert reason_of(tmp_path / "a.nii") == "unknown-outline-format"


def outline_at(pane: str, shift: int = 0) -> Outline:
    return Outline(2, np.array(SQUARE, dtype=np.float64) + np.array([shift, 0]), pane, (ROWS, COLUMNS))


def test_every_pane_leads_to_the_same_place() -> None:
    contrast, bmode = (0, 20, 100, 120), (100, 20, 200, 120)
    expected = np.array(SQUARE, dtype=np.float64) - [0, 20]
    for outline in (outline_at("contrast"), outline_at("bmode", 100), outline_at("screen"), outline_at("screen", 100)):
        assert np.array_equal(in_pane(outline, contrast, bmode), expected)
    assert np.array_equal(in_pane(outline_at("screen"), contrast, None), expected)


def test_an_outline_on_the_wrong_pane_is_outside() -> None:
    contrast, bmode = (0, 20, 100, 120), (100, 20, 200, 120)
    for outline in (outline_at("contrast", 100), outline_at("bmode"), outline_at("screen", 50)):
        with pytest.raises(OutlineError) as caught:
            in_pane(outline, contrast, bmode)
        assert caught.value.reason == "outline-outside-frame"
    with pytest.raises(OutlineError) as caught:
        in_pane(outline_at("bmode"), contrast, None)
    assert caught.value.reason == "outline-pane-absent"


@pytest.mark.parametrize(
    ("rows", "columns", "frames", "shift", "reason"),
    [
        (ROWS, COLUMNS, 3, 0, None),
        (ROWS, COLUMNS, 2, 0, "outline-frame-beyond-clip"),
        (COLUMNS, ROWS, 3, 0, "outline-size"),
        (ROWS, COLUMNS, 3, 139, None),
        (ROWS, COLUMNS, 3, 142, "outline-outside-frame"),
        (ROWS, COLUMNS, 3, -35, "outline-outside-frame"),
    ],
)
def test_an_outline_fits_its_clip(rows: int, columns: int, frames: int, shift: int, reason: str | None) -> None:
    if reason is None:
        check_screen(outline_at("screen", shift), rows, columns, frames)
        return
    with pytest.raises(OutlineError) as caught:
        check_screen(outline_at("screen", shift), rows, columns, frames)
    assert caught.value.reason == reason


def test_errors_cross_processes_whole() -> None:
    error = OutlineError("a", "b", "c", "d")
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, again.rule, again.value, again.remedy, str(again)) == ("a", "b", "c", "d", str(error))
