"""Which of regions, template and detection decides, and what is refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from client.data.imaging.clip import ClipError
from client.data.imaging.layout import layout_of
from client.data.imaging.recording import Region, Times
from client.data.imaging.screen import Screen
from client.data.imaging.tint import TINTS, Tint
from tests.client.data.imaging.test_fan import pane, sector
from tests.client.data.imaging.test_pane_detection import enhancing, screen

U8 = npt.NDArray[np.uint8]
DUAL = ((20, 60), (400, 60))
SHOWN = screen(enhancing(), pane(sector(), 16, seed=9), DUAL)
ROWS, COLUMNS = SHOWN[0].shape[:2]
LEFT, RIGHT = (20, 60, 380, 360), (400, 60, 760, 360)
PHILIPS = Screen("Philips", ROWS, COLUMNS, LEFT, RIGHT, "gold", 55.0)
GE = Screen("GE", ROWS, COLUMNS, RIGHT, LEFT, "amber", 60.0)
ANY = Screen("*", ROWS, COLUMNS, LEFT, None, "grey", 60.0)


class Made:
    """A recording of given pictures."""

    def __init__(self, shown: list[U8], manufacturer: str = "", regions: tuple[Region, ...] = ()) -> None:
        self.rows, self.columns = shown[0].shape[:2]
        self.manufacturer, self.regions, self.shown = manufacturer, regions, shown
        self.glances = 0

    def glance(self, count: int) -> list[U8]:
        self.glances += 1
        return self.shown[:: max(1, len(self.shown) // count)]

    def pictures(self) -> object:
        return iter(self.shown)

    def length(self) -> int:
        return len(self.shown)

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        raise NotImplementedError


def test_regions_stand_before_the_template_and_the_template_before_detection() -> None:
    regions = (Region(LEFT, 0.4), Region(RIGHT, 0.4))
    layout = layout_of(Made(SHOWN, "", regions), [PHILIPS], TINTS)
    assert (layout.origin, layout.contrast, layout.mm_per_pixel, layout.confidence) == ("regions", LEFT, 0.4, 1.0)
    layout = layout_of(Made(SHOWN), [PHILIPS], TINTS)
    assert (layout.origin, layout.bmode, layout.dynamic_range_db, layout.confidence) == ("template", RIGHT, 55.0, 1.0)
    layout = layout_of(Made(SHOWN), [], TINTS)
    assert layout.origin == "detected"
    assert 0.6 < layout.confidence <= 1.0
    assert layout.tint == TINTS["gold"]
    assert layout.bmode is not None
    assert layout.bmode[0] - layout.contrast[0] == 380


def test_the_template_of_the_files_maker_is_used() -> None:
    for maker, expected in (("Philips Medical Systems", LEFT), ("GE Healthcare", RIGHT), ("ALOKA", LEFT)):
        assert layout_of(Made(SHOWN, maker), [PHILIPS, GE, ANY], TINTS).contrast == expected


def test_an_unknown_maker_that_fits_two_templates_is_no_guess() -> None:
    with pytest.raises(ClipError, match="2 templates of this size") as caught:
        layout_of(Made(SHOWN), [PHILIPS, GE], TINTS)
    assert caught.value.reason == "unknown-panes"
    assert layout_of(Made(SHOWN), [PHILIPS, PHILIPS], TINTS).contrast == LEFT
    regions = (Region(LEFT, 0.4), Region(RIGHT, 0.4))
    assert layout_of(Made(SHOWN, "", regions), [PHILIPS, GE], TINTS).contrast == LEFT  # the file itself decides


def test_doubtful_pictures_ask_for_a_template() -> None:
    alike = screen(pane(sector(), 16, 1), pane(sector(), 16, 2), DUAL, "grey")
    for shown in (alike, alike[:1] * 16):
        with pytest.raises(ClipError, match=r"site\.yaml") as caught:
            layout_of(Made(shown), [], TINTS)
        assert caught.value.reason == "unknown-panes"


def test_a_screen_that_is_all_pane_is_whole() -> None:
    shown = [np.repeat(p[..., None], 3, axis=2) for p in pane(np.ones((300, 360), bool), 16)]
    layout = layout_of(Made(shown), [], TINTS)
    assert (layout.origin, layout.contrast, layout.bmode) == ("whole", (0, 0, 360, 300), None)


def test_a_known_template_costs_no_look_at_the_pictures() -> None:
    made = Made(SHOWN)
    layout_of(made, [PHILIPS], TINTS)
    assert made.glances == 0


def test_a_sites_own_tint_is_used() -> None:
    own = Tint(((0, 0, 0, 0), (255, 200, 255, 100)), 1)
    named = Screen("*", ROWS, COLUMNS, LEFT, RIGHT, "own", 60.0)
    assert layout_of(Made(SHOWN), [named], {**TINTS, "own": own}).tint == own
    assert layout_of(Made(SHOWN), [named], TINTS).tint.channel == 0  # unknown here: the brightest channel of gold
