"""What is seen and measured of opened clips is what the index makes of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_outlining import PROCESSING, SQUARE
from small_hospital import COLUMNS_PX, FRAMES, PEAK, ROWS, SmallHospital

from client.console.outlining.cases import find_case
from client.console.outlining.playback import Playback
from client.data.analysis.pipeline import trace_row
from client.data.forms.site_config import SiteConfig, load_site
from client.data.outlines.outline import place_in_pane
from client.data.table.manifest import read_manifest


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteConfig:
    made = SmallHospital(tmp_path_factory.mktemp("site"), 2)
    made.rows[1] |= {"clips": "clips/1.avi;clips/0.avi", "clip_start_s": "5;60", "patient_id": "P0"}
    return load_site(made.write())


@pytest.fixture(scope="module")
def opened(site: SiteConfig) -> Playback:
    return Playback.open(find_case(site, 3), site)


def test_all_clips_are_one_sequence_in_time(opened: Playback) -> None:
    facts = opened.facts()
    assert len(facts.seconds) == 2 * FRAMES
    assert list(facts.seconds) == sorted(facts.seconds)
    assert list(facts.first) == [*range(FRAMES), *[-1] * FRAMES]
    assert (facts.rows, facts.columns, facts.bmode, facts.timed) == (80, 80, True, True)
    assert (facts.view.rows, facts.view.columns, facts.view.frames) == (ROWS, COLUMNS_PX, FRAMES)


def test_a_frame_shows_both_panes(opened: Playback) -> None:
    picture = cv2.imdecode(np.frombuffer(opened.draw_frame(8), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert opened.bmode is not None
    expected = np.hstack([opened.contrast[8], opened.bmode[8]]).astype(float)
    assert picture.shape == (80, 160)
    assert np.abs(picture - expected).mean() < 4
    for number in (-1, 2 * FRAMES):
        with pytest.raises(IndexError):
            opened.draw_frame(number)


def test_the_picture_in_the_file_has_panes_and_nothing_beside_them(opened: Playback) -> None:
    picture = cv2.imdecode(np.frombuffer(opened.draw_screen(8), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (ROWS, COLUMNS_PX)
    assert (picture[16:, :80] == opened.contrast[8]).all()
    assert (picture[:16] == 0).all()


@pytest.mark.parametrize(("pane", "left"), [("screen", 0), ("contrast", 0), ("bmode", 80)])
def test_an_outline_is_placed_on_the_pane_that_the_table_names(opened: Playback, pane: str, left: int) -> None:
    placed = opened.place_on_screen(SQUARE, 3, pane)
    assert placed.polygon.tolist() == (SQUARE + np.array([left, 16])).tolist()
    assert np.allclose(place_in_pane(placed, opened.facts().view), SQUARE)


def test_a_place_has_its_curve(opened: Playback) -> None:
    inside, outside = (opened.measure_place(place, 5, PROCESSING) for place in ((35, 39), (70, 10)))
    assert len(inside) == 2 * FRAMES
    levels = [value or 0.0 for value in inside]
    assert max(levels) > 20 * max(value or 0.0 for value in outside)
    assert abs(int(np.argmax(levels[:FRAMES])) - PEAK) <= 3, "the lesion's own peak"
    assert opened.measure_place((-500, 4000), 5, PROCESSING) == [None] * (2 * FRAMES)


@pytest.mark.parametrize("line", [2, 3])
def test_an_outline_finds_what_the_index_finds(site: SiteConfig, line: int) -> None:
    row = next(one for one in read_manifest(site).rows if one.line == line)
    expected = trace_row(row, site, PROCESSING).trace
    case = find_case(site, line)
    found = Playback.open(case, site).trace(SQUARE, 3, case, PROCESSING)
    assert found["seconds"] == expected.seconds.tolist()
    assert found["smoothed"] == expected.smoothed.tolist()
    assert found["chosen"] == expected.chosen.tolist()
    assert found["chosen"][0] > 0, "from the arrival of contrast"
    assert found["peak"] == expected.peak_index
    assert found["doubts"] == list(expected.doubts)
    assert found["box"] == [14, 18, 57, 61], "the outline and 6 px, in the whole pane"
    assert found["shown"][3] == 3
    assert found["shift"][3] == [0, 0]
    assert np.abs(np.array(found["shift"])).max() < 1, "the tissue of this clip stands still"
