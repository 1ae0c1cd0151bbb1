"""Pixels against the truth that comes with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from toy_cases import ENTITIES, case

from sim.phantom.draw import PRESETS, Film, LesionDraw, Machine, Truth, draw_lesion
from sim.phantom.patterns import Pattern
from sim.phantom.render import ROI_MARGINS_PX, make_lesion_mask, render

SETTINGS = dataclasses.replace(PRESETS["smoke"], pane_px=(96, 96))
MACHINE = Machine(dynamic_range_db=60.0)


def _rendered(number: int, *entity: str, **changes: object) -> tuple[LesionDraw, Film, Truth]:
    drawn = draw_lesion(case(number, *entity), SETTINGS, MACHINE, False, 3)
    drawn = dataclasses.replace(drawn, **changes)
    films, truth = render(drawn, SETTINGS)
    stacked = [np.concatenate([getattr(f, name) for f in films]) for name in ("contrast", "bmode", "seconds")]
    return drawn, Film(*stacked), truth


def _still(drawn: LesionDraw) -> LesionDraw:
    calm = dataclasses.replace(drawn.breathing, amplitude_mm=0.01, drift_mm=0.0, cough_s=float("nan"), out_of_plane=0.0)
    return dataclasses.replace(drawn, breathing=calm)


@pytest.mark.parametrize("entity", ENTITIES, ids="-".join)
def test_every_entity_renders_with_a_whole_truth(entity: tuple[str, str]) -> None:
    _, film, truth = _rendered(1, *entity)
    count = film.seconds.size
    assert film.contrast.shape == film.bmode.shape == (count, 96, 96)
    assert truth.boxes.shape == (count, 4)
    assert truth.roi_tic.shape == (len(ROI_MARGINS_PX), count)
    assert truth.mask.any()
    assert 10 < truth.seconds[truth.reference] < 50
    assert truth.out[truth.reference] < 0.05


def test_linearised_curve_follows_the_truth() -> None:
    drawn = _still(draw_lesion(case(4, "HCC", "", 6.0), SETTINGS, MACHINE, False, 3))
    films, truth = render(drawn, SETTINGS)
    contrast = np.concatenate([f.contrast for f in films])
    inside = make_lesion_mask(drawn.plane, (0.0, 0.0))
    found = (10 ** (contrast[:, inside].astype(float) / 255 * 60 / 10)).mean(axis=1)
    found -= found[truth.seconds < 8].mean()
    assert np.corrcoef(found, truth.lesion_tic)[0, 1] > 0.97
    early = truth.seconds < 60
    expected = truth.seconds[early][truth.lesion_tic[early].argmax()]
    assert truth.seconds[early][found[early].argmax()] == pytest.approx(expected, abs=4)


def test_baseline_is_nearly_black() -> None:
    for number in (1, 2, 3):
        _, film, truth = _rendered(number)
        assert film.contrast[truth.seconds < 7].mean() < 16


def test_plateau_has_the_level_of_a_real_clip() -> None:
    drawn, film, truth = _rendered(2)
    view = film.bmode.max(axis=0) > 0
    plateau = film.contrast[(truth.seconds > 38) & (truth.seconds < 55)][:, view]
    assert 110 < plateau.mean() - drawn.physics.gain_db * 255 / 60 < 165  # a real one: 146 with sd 35
    assert 18 < plateau.std() < 45


def test_boxes_hold_the_lesion_at_the_reference() -> None:
    for number, entity in ((1, ("HCC", "")), (2, ("ICC", "")), (3, ("HA", ""))):
        _, _, truth = _rendered(number, *entity)
        rows, columns = np.flatnonzero(truth.mask.any(axis=1)), np.flatnonzero(truth.mask.any(axis=0))
        tight = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert truth.boxes[truth.reference] == pytest.approx(tight, abs=1.01)


def test_motion_moves_the_picture_as_recorded() -> None:
    _, film, truth = _rendered(5)
    order = np.argsort(truth.shift_px[:, 0] + 10 * (truth.out > 0))
    a, b = int(order[0]), int(order[np.searchsorted(truth.out[order] > 0, True) - 1])
    expected = truth.shift_px[b] - truth.shift_px[a]
    assert np.hypot(*expected) > 2
    window = np.outer(np.hanning(60), np.hanning(60))
    first, second = (film.bmode[i, 30:90, 18:78].astype(float) for i in (a, b))
    cross = np.fft.ifft2(
        np.fft.fft2((second - second.mean()) * window) * np.conj(np.fft.fft2((first - first.mean()) * window))
    ).real
    y, x = np.unravel_index(cross.argmax(), cross.shape)
    found = np.array([(x + 30) % 60 - 30, (y + 30) % 60 - 30])
    assert found == pytest.approx(expected, abs=1.0)


def test_the_lesion_leaves_the_plane() -> None:
    drawn = draw_lesion(case(9, "HA"), SETTINGS, MACHINE, False, 3)
    leaving = dataclasses.replace(_still(drawn).breathing, amplitude_mm=12.0, plane_angle=np.pi / 2, out_of_plane=0.3)
    melted = Pattern("cavity", rim_mm=3.0, nodules=1)
    drawn = dataclasses.replace(drawn, breathing=leaving, slice_share=0.2, pattern=melted)
    films, truth = render(drawn, SETTINGS)
    contrast = np.concatenate([f.contrast for f in films])
    late = truth.seconds > 38
    core = make_lesion_mask(dataclasses.replace(drawn.plane, outline=_half(drawn)), (0.0, 0.0))
    away, here = (contrast[late & flag][:, core].mean() for flag in (truth.out > 0.9, truth.out < 0.1))
    assert away > here + 15  # the liver beside the abscess enhances, its core does not


def _half(drawn: LesionDraw):  # type: ignore[no-untyped-def]
    return dataclasses.replace(drawn.plane.outline, radius_px=drawn.plane.outline.radius_px * 0.5)


def test_nothing_outside_the_field_of_view() -> None:
    _, film, _ = _rendered(6)
    assert film.contrast[:, 0, 0].max() == 0
    assert film.bmode[:, 0, -1].max() == 0


def test_an_abscess_is_dark_in_the_bmode_too() -> None:
    seen = []
    for number in range(6):
        drawn = _still(draw_lesion(case(number, "HA", "", 6.0), SETTINGS, MACHINE, False, 3))
        drawn = dataclasses.replace(drawn, pattern=Pattern("cavity", rim_mm=3.0, nodules=3))
        films, _ = render(drawn, SETTINGS)
        mean = np.concatenate([f.bmode for f in films]).mean(axis=0)
        core = make_lesion_mask(dataclasses.replace(drawn.plane, outline=_half(drawn)), (0.0, 0.0))
        around = ~make_lesion_mask(drawn.plane, (0.0, 0.0)) & (mean > 0)
        seen.append(np.median(mean[around]) - mean[core].mean())
    assert np.mean(seen) > 20  # 5 dB
    assert min(seen) > 0
