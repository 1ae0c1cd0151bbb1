"""Outlines of every tool end as the same polygon in the same place; what cannot be used says why."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_outlines import COLUMNS, FORMATS, ROWS, SQUARE, labelme, png

from client.data.outlines.outline import (
    Outline,
    OutlineError,
    View,
    bounding_box,
    place_in_pane,
    place_on_screen,
    read_outline,
)

CONTRAST, BMODE = (0, 20, 90, 110), (100, 20, 190, 110)
VIEW = View(ROWS, COLUMNS, 12, CONTRAST, BMODE)


def reason_of(path: Path, frame: int | None = 3) -> str:
    with pytest.raises(OutlineError) as caught:
        read_outline(path, frame, "screen")
    assert caught.value.rule
    assert caught.value.remedy
    return caught.value.reason


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_one_polygon(tmp_path: Path, name: str) -> None:
    file, write = FORMATS[name]
    outline = read_outline(write(tmp_path / file), 3 if name == "PNG" else None, "contrast")
    assert bounding_box(outline.polygon) == (30, 40, 60, 80)
    assert outline.polygon.dtype == np.float64
    assert outline.frame == 3
    assert outline.screen == (None if name == "DICOM SR" else (ROWS, COLUMNS))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "PNG"])
def test_a_table_that_counts_from_1_is_told_in_every_format(tmp_path: Path, name: str) -> None:
    file, write = FORMATS[name]
    path = write(tmp_path / file)
    assert read_outline(path, 3, "screen").frame == 3
    with pytest.raises(OutlineError, match="one of the two counts from 1") as caught:
        read_outline(path, 4, "screen")
    assert caught.value.reason == "outline-frame-disagrees"


def test_the_frame_comes_from_the_table_or_the_file_and_they_must_agree(tmp_path: Path) -> None:
    stated = labelme(tmp_path / "a.json", frame=7)
    assert read_outline(stated, None, "screen").frame == 7
    assert read_outline(stated, 7, "screen").frame == 7
    assert reason_of(stated, 9) == "outline-frame-disagrees"
    assert reason_of(png(tmp_path / "b.png"), None) == "outline-frame-missing"


def test_missing_and_foreign_files_are_faults(tmp_path: Path) -> None:
    for file, _ in FORMATS.values():
        assert reason_of(tmp_path / f"none{file}") == "missing-outline"
    (tmp_path / "a.zhang").write_bytes(b"")
    with pytest.raises(OutlineError) as caught:
        read_outline(tmp_path / "a.zhang", 3, "screen")
    assert caught.value.reason == "unknown-outline-format"
    assert "zhang" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["json", "xml", "png", "nii", "nii.gz", "dcm"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 4000, b"something else", b"\x1f\x8b\x08"])
def test_what_is_no_outline_is_a_fault(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(content)
    assert reason_of(tmp_path / f"a.{suffix}") in ("unreadable-outline", "empty-outline")


def moved(x: float, y: float = 0) -> npt.NDArray[np.float64]:
    return np.array(SQUARE, dtype=np.float64) + np.array([x, y])


def test_four_ways_to_draw_end_in_the_same_place() -> None:
    """On either pane, in full-screen coordinates, or on a picture that was cut to a pane."""
    size = (90, 90)
    drawn = [
        Outline(2, moved(0), "contrast", (ROWS, COLUMNS)),
        Outline(2, moved(100), "bmode", (ROWS, COLUMNS)),
        Outline(2, moved(0), "screen", (ROWS, COLUMNS)),
        Outline(2, moved(100), "screen"),
        Outline(2, moved(0, -20), "contrast", size),
        Outline(2, moved(0, -20), "bmode", size),
        Outline(2, moved(0, -20), "screen", size),
    ]
    for outline in drawn:
        assert np.array_equal(place_in_pane(outline, VIEW), moved(0, -20))
    placed = [place_on_screen(outline, VIEW).polygon.mean(axis=0).tolist() for outline in drawn]
    assert placed == [[45, 60], [145, 60], [45, 60], [145, 60], [45, 60], [145, 60], [45, 60]]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "DICOM SR"])
def test_a_file_of_a_picture_cut_to_a_pane_is_placed(tmp_path: Path, name: str) -> None:
    file, write = FORMATS[name]
    outline = read_outline(write(tmp_path / file), 3, "bmode")
    wide = View(300, 400, 12, (0, 100, COLUMNS, 100 + ROWS), (200, 100, 200 + COLUMNS, 100 + ROWS))
    assert bounding_box(place_on_screen(outline, wide).polygon) == (230, 140, 260, 180)
    assert bounding_box(place_in_pane(outline, wide)) == (30, 40, 60, 80)


def test_an_outline_on_the_wrong_pane_is_outside() -> None:
    for outline in (Outline(2, moved(100), "contrast"), Outline(2, moved(0), "bmode"), Outline(2, moved(50), "screen")):
        with pytest.raises(OutlineError) as caught:
            place_in_pane(outline, VIEW)
        assert caught.value.reason == "outline-outside-frame"
    for pane, shift, other in (("contrast", 100, "bmode"), ("bmode", 0, "contrast")):
        with pytest.raises(OutlineError, match=f"write {other} in outline_pane"):
            place_in_pane(Outline(2, moved(shift), pane), VIEW)
    alone = View(ROWS, COLUMNS, 12, CONTRAST, None)
    assert np.array_equal(place_in_pane(Outline(2, moved(0), "screen"), alone), moved(0, -20))
    for outline in (Outline(2, moved(0), "bmode"), Outline(2, moved(0), "bmode", (90, 90))):
        with pytest.raises(OutlineError) as caught:
            place_in_pane(outline, alone)
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
    outline = Outline(2, moved(shift), "screen", (ROWS, COLUMNS))
    view = View(rows, columns, frames, (0, 0, 50, 50), None)
    if reason is None:
        assert place_on_screen(outline, view) is outline
        return
    with pytest.raises(OutlineError) as caught:
        place_on_screen(outline, view)
    assert caught.value.reason == reason


def test_errors_cross_processes_whole() -> None:
    error = OutlineError("a", "b", "c", "d")
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, again.rule, again.value, again.remedy, str(again)) == ("a", "b", "c", "d", str(error))
