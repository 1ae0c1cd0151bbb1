"""What must be seen is in the picture, and odd lesions are drawn as well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_traces import LEFT_OUT, drawn

from client.data.sheets.quality_sheet import write_quality_sheet

ORANGE, BLUE, RED, FLASH, REPEATED, AGAIN, GREEN = (
    (255, 176, 0),
    (53, 194, 255),
    (220, 38, 127),
    (244, 163, 168),
    (185, 196, 207),
    (217, 205, 234),
    (27, 120, 55),
)


def share_of(path: Path, colour: tuple[int, int, int]) -> float:
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(int)
    return float((np.abs(picture - colour).max(axis=2) <= 12).mean())


def test_the_quality_sheet_shows_outline_box_held_frames_and_what_was_left_out(tmp_path: Path) -> None:
    found = drawn(held_share=0.3)
    path = tmp_path / "new" / "sheet.png"
    write_quality_sheet("row 5", replace(found, trace=replace(found.trace, left_out=LEFT_OUT)), path, gate=0.5)
    for colour in (ORANGE, BLUE, RED, FLASH, AGAIN, GREEN):
        assert share_of(path, colour) > 1e-4
    assert share_of(path, REPEATED) > 2e-5
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]
    write_quality_sheet("row 5", found, path, gate=0.5)
    assert max(share_of(path, colour) for colour in (FLASH, AGAIN)) < 1e-5


def test_a_doubt_stands_in_red_at_the_top(tmp_path: Path) -> None:
    write_quality_sheet("row 5", drawn(held_share=0.0), tmp_path / "good.png")
    write_quality_sheet(
        "row 5", drawn(held_share=0.0, doubts=("the box is held in 60% of the frames",)), tmp_path / "bad.png"
    )
    head = [cv2.imread(str(tmp_path / name))[30:60] for name in ("good.png", "bad.png")]
    red = [(np.abs(part[..., ::-1].astype(int) - RED).max(axis=2) <= 12).mean() for part in head]
    assert red[0] == 0
    assert red[1] > 0.01


@pytest.mark.parametrize(("count", "maps"), [(1, 1), (2, 1), (120, 0)])
def test_lesions_with_almost_nothing_are_drawn(tmp_path: Path, count: int, maps: int) -> None:
    write_quality_sheet("row 5", drawn(count, maps=maps), tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 5


def test_threads_draw_what_one_draws(tmp_path: Path) -> None:
    found = drawn()
    write_quality_sheet("row 5", found, tmp_path / "alone.png")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: write_quality_sheet("row 5", found, tmp_path / f"{n}.png"), range(2)))
    assert {(tmp_path / f"{n}.png").read_bytes() for n in range(2)} == {(tmp_path / "alone.png").read_bytes()}


def test_a_sheet_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "a.png"
    write_quality_sheet("row 5", drawn(), path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_quality_sheet("row 6", drawn(), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]
