"""LabelMe, COCO and Datumaro: which shape is the lesion, on which frame, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_outlines import COLUMNS, ROWS, SQUARE, coco, coco_runs, datumaro, labelme

from client.data.outlines.json_outlines import parse_frame_name
from client.data.outlines.outline import OutlineError, bounding_box, read_outline

OTHER = [[100, 20], [140, 20], [140, 60], [100, 60]]


def reason_of(path: Path, frame: int | None = 3) -> str:
    with pytest.raises(OutlineError) as caught:
        read_outline(path, frame, "screen")
    return caught.value.reason


def test_the_shape_called_lesion_is_taken_among_others(tmp_path: Path) -> None:
    other = {"label": "vessel", "points": OTHER, "shape_type": "polygon"}
    lesion = {"label": "lesion", "points": SQUARE, "shape_type": "polygon"}
    path = tmp_path / "a.json"
    size = {"imageHeight": ROWS, "imageWidth": COLUMNS}
    path.write_text(json.dumps({"shapes": [other, lesion], **size}), encoding="utf-8")
    assert bounding_box(read_outline(path, 0, "screen").polygon) == (30, 40, 60, 80)
    for shapes in ([lesion, lesion], [other, other], []):
        path.write_text(json.dumps({"shapes": shapes}), encoding="utf-8")
        assert reason_of(path) == "unreadable-outline"


def test_a_coco_file_of_several_frames_gives_the_tables_frame(tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", SQUARE, 3, {8: OTHER})
    assert bounding_box(read_outline(path, 3, "screen").polygon) == (30, 40, 60, 80)
    assert bounding_box(read_outline(path, 8, "screen").polygon) == (100, 20, 140, 60)
    assert reason_of(path, None) == "outline-frame-open"
    assert reason_of(path, 4) == "outline-frame-open"


def test_a_coco_lesion_has_one_part(tmp_path: Path) -> None:
    document = json.loads(coco(tmp_path / "a.json").read_text(encoding="utf-8"))
    document["annotations"][0]["segmentation"] *= 2
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    assert reason_of(tmp_path / "a.json") == "unreadable-outline"


def test_frames_are_in_the_names_that_cvat_gives() -> None:
    names = ("frame_000012.PNG", "set/frame_000000.jpg", "frame_7", "IMG_0012.png", "12.png", "", None, 3)
    assert [parse_frame_name(name) for name in names] == [12, 0, 7, None, None, None, None, None]


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
        [[10**400, 1]] * 4,
        None,
    ],
)
def test_odd_points_are_faults(tmp_path: Path, points: Any) -> None:
    assert reason_of(labelme(tmp_path / "a.json", points)) == "unreadable-outline"


def test_an_outline_without_area_is_empty(tmp_path: Path) -> None:
    assert reason_of(labelme(tmp_path / "a.json", [[5, 5], [50, 5], [90, 5]])) == "empty-outline"


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"shapes": 3}',
        b"[" * 100_000,
        b'{"shapes": [3]}',
        b'{"annotations": [{}]}',
        b'{"annotations": [{"segmentation": {"size": [1e9, 1e9], "counts": [1]}}]}',
        b'{"annotations": [{"segmentation": {"size": [2, 2], "counts": "\xc3\xa9"}}]}',
        b'{"annotations": [{"segmentation": {"size": [2, 2], "counts": [1, -1, 4]}}]}',
        b'{"items": [{"annotations": [{"type": "polygon", "points": [1, 2, 3]}]}]}',
    ],
)
def test_broken_json_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert reason_of(tmp_path / "a.json") == "unreadable-outline"


def test_a_file_without_the_pictures_size_is_doubted(tmp_path: Path) -> None:
    """Points of a scaled picture would be taken in the wrong place."""
    assert read_outline(labelme(tmp_path / "a.json"), 3, "screen").screen == (ROWS, COLUMNS)
    for write in (labelme, coco, datumaro):
        path = write(tmp_path / "b.json")
        text = path.read_text(encoding="utf-8")
        for key in ("imageHeight", "height", "size"):
            text = text.replace(f'"{key}":', '"none":')
        path.write_text(text, encoding="utf-8")
        assert reason_of(path) == "outline-size-missing"


def test_a_box_of_coco_is_read(tmp_path: Path) -> None:
    document = json.loads(coco(tmp_path / "a.json").read_text(encoding="utf-8"))
    note = {**document["annotations"][0], "segmentation": [], "bbox": [30.5, 40.5, 30, 40]}
    for annotation in (note, {**note, "bbox": [30.5, 40.5, 30]}, {**note, "bbox": None}):
        (tmp_path / "a.json").write_text(json.dumps({**document, "annotations": [annotation]}), encoding="utf-8")
        if annotation is note:
            assert bounding_box(read_outline(tmp_path / "a.json", 3, "screen").polygon) == (30, 40, 60, 80)
        else:
            assert reason_of(tmp_path / "a.json") == "unreadable-outline"


def test_a_box_and_a_mask_of_datumaro_are_read_and_a_line_is_named(tmp_path: Path) -> None:
    document = json.loads(datumaro(tmp_path / "a.json").read_text(encoding="utf-8"))
    runs = json.loads(coco_runs(tmp_path / "b.json").read_text(encoding="utf-8"))["annotations"][0]["segmentation"]
    notes: list[dict[str, Any]] = [
        {"type": "bbox", "label_id": 0, "bbox": [30.5, 40.5, 30, 40]},
        {"type": "mask", "label_id": 0, "rle": runs},
        {"type": "polyline", "label_id": 0, "points": [1, 2, 3, 4]},
    ]
    for note in notes:
        document["items"][0]["annotations"] = [note]
        (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
        if note["type"] == "polyline":
            assert reason_of(tmp_path / "a.json") == "outline-shape"
        else:
            assert bounding_box(read_outline(tmp_path / "a.json", 3, "screen").polygon) == (30, 40, 60, 80)
