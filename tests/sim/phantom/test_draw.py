from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from toy_cases import case

from sim.phantom.draw import PRESETS, Machine, compute_pane, draw_frame_times, draw_lesion
from sim.phantom.render import render

SMOKE = PRESETS["smoke"]


def test_the_draw_depends_on_seed_and_case_alone() -> None:
    first = draw_lesion(case(1), SMOKE, Machine(), True, 5)
    draw_lesion(case(2), SMOKE, Machine(), True, 5)
    again = draw_lesion(case(1), SMOKE, Machine(), True, 5)
    other = draw_lesion(case(1), SMOKE, Machine(), True, 6)
    assert first.kinetics == again.kinetics != other.kinetics
    assert first.render_seed == again.render_seed != other.render_seed


def test_lesions_of_a_patient_share_the_liver() -> None:
    one, two = case(1), dataclasses.replace(case(2), patient_id="P1")
    drawn = [draw_lesion(c, SMOKE, Machine(), True, 5) for c in (one, two, case(3))]
    assert drawn[0].liver == drawn[1].liver != drawn[2].liver
    assert drawn[0].kinetics != drawn[1].kinetics


@pytest.mark.parametrize("name", PRESETS)
def test_frame_times(name: str) -> None:
    settings = PRESETS[name]
    rng = np.random.default_rng(0)
    regular, irregular = (draw_frame_times(settings, 1.0, flag, rng) for flag in (False, True))
    for clips in (regular, irregular):
        assert len(clips) == 1 + len(settings.snapshots_s)
        joined = np.concatenate(clips)
        assert (np.diff(joined) > 0).all()
        assert np.diff(joined * 1e6) == pytest.approx(np.rint(np.diff(joined * 1e6)), abs=1e-3)
    assert np.ptp(np.diff(regular[0])) < 1e-9
    assert np.ptp(np.diff(irregular[0])) > 0.05 / settings.frame_rate_hz


def test_presets_have_the_frames_they_promise() -> None:
    frames = {
        n: sum(c.size for c in draw_frame_times(s, 1.0, False, np.random.default_rng(0))) for n, s in PRESETS.items()
    }
    assert frames["smoke"] < 60
    assert 100 <= frames["demo"] <= 135
    assert frames["paper"] > 1000


def test_overlapping_clips_are_refused() -> None:
    settings = dataclasses.replace(SMOKE, snapshots_s=(20.0,))
    with pytest.raises(ValueError, match="they overlap"):
        draw_frame_times(settings, 1.0, False, np.random.default_rng(0))


def test_panes_scale_with_the_machine() -> None:
    assert compute_pane(PRESETS["demo"], Machine(size=0.92)) == (92, 92)


def test_same_draw_same_bytes() -> None:
    drawn = draw_lesion(case(1, "HM", "CRC"), SMOKE, Machine(), True, 5)
    one, two = render(drawn, SMOKE), render(drawn, SMOKE)
    for a, b in zip(one[0], two[0], strict=True):
        assert a.contrast.tobytes() == b.contrast.tobytes()
        assert a.bmode.tobytes() == b.bmode.tobytes()
    assert (one[1].lesion_tic == two[1].lesion_tic).all()


def test_full_motion_moves_the_same_lesion() -> None:
    """Nothing else of the draw changes, so the other phantoms stay what they are."""
    usual = draw_lesion(case(1), SMOKE, Machine(), True, 5)
    full = draw_lesion(case(1), dataclasses.replace(SMOKE, full_motion=True), Machine(), True, 5)
    assert full.breathing.amplitude_mm >= 8
    assert full.breathing.out_of_plane > 0
    assert repr(dataclasses.replace(full, breathing=usual.breathing)) == repr(usual)
