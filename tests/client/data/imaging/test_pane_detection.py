"""Detection: panes of dual views with and without a gap, contrast-only screens, and doubt where it belongs."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from client.data.imaging.pane_detection import SURE, DetectedPanes, detect_panes
from sim.hospital.screens import TINTS
from tests.client.data.imaging.test_fan import pane, sector

U8 = npt.NDArray[np.uint8]
HEIGHT, WIDTH = 300, 360


def enhancing(frames: int = 16, seed: int = 5) -> U8:
    """A contrast pane (t h w): the fan fills from dark to bright."""
    fan, rise = sector(), np.linspace(0.1, 1.0, frames)[:, None, None]
    return (pane(fan, frames, seed) * rise).astype(np.uint8)


def screen(contrast: U8, bmode: U8 | None, places: tuple[tuple[int, int], ...], tint: str = "gold") -> list[U8]:
    """Screens RGB with a banner, the panes at these x, y, and a bar."""
    columns = max(x for x, _ in places) + WIDTH + 20
    rows = max(y for _, y in places) + HEIGHT + 20
    shown = []
    for number in range(len(contrast)):
        picture = np.zeros((rows, columns, 3), np.uint8)
        picture[:40] = (18, 20, 26)
        cv2.putText(picture, "DOE JANE 1950", (4, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (205, 205, 205), 1)
        picture[100:200, 4:8] = np.linspace(255, 0, 100).astype(np.uint8)[:, None, None]
        panes = [TINTS[tint][contrast[number]]]
        panes += [] if bmode is None else [np.repeat(bmode[number][..., None], 3, axis=2)]
        for (x, y), content in zip(places, panes, strict=True):
            picture[y : y + HEIGHT, x : x + WIDTH] = np.maximum(picture[y : y + HEIGHT, x : x + WIDTH], content)
        shown.append(picture)
    return shown


def shift(found: DetectedPanes | None) -> tuple[int, int]:
    """From the contrast pane to the B-mode pane."""
    assert found is not None
    assert found.bmode is not None
    return found.bmode[0] - found.contrast[0], found.bmode[1] - found.contrast[1]


@pytest.mark.parametrize("places", [((20, 60), (400, 60)), ((400, 60), (20, 60)), ((20, 60), (20, 380))])
@pytest.mark.parametrize("tint", ["gold", "ice", "grey"])
def test_both_panes_of_a_dual_view(places: tuple[tuple[int, int], ...], tint: str) -> None:
    """Left, right and on top; where neither pane is tinted, the one that enhances is contrast."""
    found = detect_panes(screen(enhancing(), pane(sector(), 16, seed=9, late=False), places, tint))
    assert shift(found) == (places[1][0] - places[0][0], places[1][1] - places[0][1])
    assert found is not None
    y, x = np.nonzero(sector())
    assert found.contrast[0] == pytest.approx(places[0][0] + x.min(), abs=2)
    assert found.contrast[3] == pytest.approx(places[0][1] + y.max() + 1, abs=2)
    assert found.confidence > (SURE if tint == "grey" else 0.9)


def test_a_contrast_only_screen_is_its_fan_without_the_banner() -> None:
    found = detect_panes(screen(enhancing(), None, ((20, 60),)))
    assert found is not None
    assert found.bmode is None
    assert found.confidence > 0.9
    y, x = np.nonzero(sector())
    assert found.contrast == pytest.approx((20 + x.min(), 60 + y.min(), 21 + x.max(), 61 + y.max()), abs=3)


def test_two_rectangles_without_a_gap_are_split_at_their_seam() -> None:
    full = np.ones((HEIGHT, WIDTH), bool)
    contrast = (pane(full, 16, 1, late=False) * np.linspace(0.2, 1, 16)[:, None, None]).astype(np.uint8)
    found = detect_panes(screen(contrast, pane(full, 16, 2, late=False), ((0, 40), (WIDTH, 40))))
    assert shift(found)[0] == pytest.approx(WIDTH, abs=2)
    assert found is not None
    assert found.confidence > SURE


def test_two_grey_panes_that_change_alike_are_not_told_apart() -> None:
    found = detect_panes(screen(pane(sector(), 16, 1), pane(sector(), 16, 2), ((20, 60), (400, 60)), "grey"))
    assert found is not None
    assert found.confidence < SURE


def test_panes_of_two_shapes_are_doubted() -> None:
    """A dual view has one geometry; a fan beside a rectangle is something else."""
    other = np.zeros((HEIGHT, WIDTH), bool)
    other[10:150, 10:350] = True
    found = detect_panes(screen(enhancing(), pane(other, 16, 3), ((20, 60), (400, 60))))
    assert found is None or found.confidence < SURE


def test_what_does_not_move_is_nothing() -> None:
    still = screen(enhancing(), None, ((20, 60),))[:1] * 16
    assert detect_panes(still) is None
