"""CVAT's XML: pictures, tracks, masks, and the bombs that XML can hold."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made_outlines import COLUMNS, ROWS, cvat_images, cvat_points, cvat_video

from client.data.outlines.outline import Outline, OutlineError, bounding_box, read_outline

BOMB = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">'
    + "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("bcdefghi", "cdefghij", strict=True))
    + "]><annotations>&j;</annotations>"
)


def read(path: Path, text: str, frame: int | None = None) -> Outline:
    path.write_text(text, encoding="utf-8")
    return read_outline(path, frame, "screen")


def test_the_lesion_among_other_labels_and_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    picture = f'<polygon label="{{}}" points="{cvat_points()}"/>'
    vessel = '<polygon label="vessel" points="1,1;90,1;90,90"/>'
    one = f'<image name="frame_000003" width="{COLUMNS}" height="{ROWS}">{vessel}{picture.format("lesion")}</image>'
    two = f'<image name="frame_000009" width="{COLUMNS}" height="{ROWS}">{picture.format("lesion")}</image>'
    assert read(path, f"<annotations>{one}</annotations>").frame == 3
    both = f"<annotations>{one}{two}</annotations>"
    assert read(path, both, 9).frame == 9
    assert bounding_box(read(path, both, 3).polygon) == (30, 40, 60, 80)
    with pytest.raises(OutlineError) as caught:
        read(path, both)
    assert caught.value.reason == "outline-frame-open"


def test_a_track_is_taken_at_its_key_frame(tmp_path: Path) -> None:
    path = cvat_video(tmp_path / "a.xml", frame=5)
    assert read_outline(path, None, "screen").frame == 5
    with pytest.raises(OutlineError) as caught:
        read_outline(path, 6, "screen")
    assert caught.value.reason == "outline-frame-disagrees"


def test_a_picture_with_a_name_of_its_own_needs_the_tables_frame(tmp_path: Path) -> None:
    path = cvat_images(tmp_path / "a.xml")
    text = path.read_text(encoding="utf-8").replace("frame_000003", "Wang")
    assert read(path, text, 7).frame == 7
    with pytest.raises(OutlineError) as caught:
        read(path, text)
    assert caught.value.reason == "outline-frame-missing"


def test_a_painted_mask_is_placed_by_its_box(tmp_path: Path) -> None:
    mask = '<mask label="lesion" rle="2, 4, 2, 16, 2, 4, 2" left="30" top="40" width="8" height="4"/>'
    text = f'<annotations><image name="frame_000001" width="200" height="120">{mask}</image></annotations>'
    outline = read(tmp_path / "a.xml", text)
    assert bounding_box(outline.polygon) == (30, 40, 37, 43)
    assert (outline.frame, outline.screen) == (1, (120, 200))


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
        "<annotations/>",
        "<labels/>",
        "<annotations>",
        "no xml",
        '<annotations><image name="frame_1"><polygon label="lesion"/></image></annotations>',
        '<annotations><image><polygon points="a,b;c,d;e,f"/></image></annotations>',
        '<annotations><image><polygon points="1,2;3;4,5"/></image></annotations>',
        '<annotations><image><mask rle="1,x" left="0" top="0" width="2" height="2"/></image></annotations>',
        '<annotations><image><mask rle="4" width="2" height="2"/></image></annotations>',
        '<annotations><image><mask rle="4" left="0" top="0" width="99999999" height="99999999"/></image></annotations>',
        '<?xml version="1.0" encoding="nonsense"?><annotations/>',
    ],
)
def test_broken_and_hostile_files_are_faults_at_once(tmp_path: Path, text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(OutlineError) as caught:
        read(tmp_path / "a.xml", text, 0)
    assert caught.value.reason == "unreadable-outline"
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize(
    ("element", "box"),
    [
        ('<box label="lesion" xtl="30.5" ytl="40.5" xbr="60.5" ybr="80.5"/>', (30, 40, 60, 80)),
        ('<box label="lesion" xtl="30.5" ytl="40.5" xbr="60.5" ybr="80.5" rotation="90"/>', (25, 45, 65, 75)),
        ('<ellipse label="lesion" cx="45.5" cy="60.5" rx="15" ry="20"/>', (30, 40, 60, 80)),
        ('<ellipse label="lesion" cx="45.5" cy="60.5" rx="15" ry="20" rotation="270"/>', (25, 45, 65, 75)),
    ],
)
def test_boxes_and_ellipses_are_read(tmp_path: Path, element: str, box: tuple[float, ...]) -> None:
    text = f'<annotations><image name="frame_000001" width="200" height="120">{element}</image></annotations>'
    assert bounding_box(read(tmp_path / "a.xml", text).polygon) == pytest.approx(box)


@pytest.mark.parametrize("kind", ["polyline", "points", "cuboid", "skeleton"])
def test_shapes_that_enclose_nothing_are_named(tmp_path: Path, kind: str) -> None:
    element = f'<{kind} label="lesion" points="1,1;90,1;90,90"/>'
    text = f'<annotations><image name="frame_000001" width="200" height="120">{element}</image></annotations>'
    with pytest.raises(OutlineError) as caught:
        read(tmp_path / "a.xml", text)
    assert caught.value.reason == "outline-shape"


def test_a_picture_without_its_size_is_doubted(tmp_path: Path) -> None:
    text = f'<annotations><image name="frame_000001"><polygon points="{cvat_points()}"/></image></annotations>'
    with pytest.raises(OutlineError) as caught:
        read(tmp_path / "a.xml", text)
    assert caught.value.reason == "outline-size-missing"
