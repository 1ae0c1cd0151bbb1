"""Which tracks a person must look at. Full motion and its figures: see test_full_motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from client.data.analysis.track_quality import UntrustedTrack, assess_track, require_trusted
from client.data.analysis.tracking import BMODE, CONTRAST, Track

ALL = np.ones(100, dtype=bool)
SECONDS = np.arange(100) * 0.2


def track(
    method: str = BMODE, held: int = 0, beyond: int = 0, apart: int = 0, known: int = 100, alike: float = np.nan
) -> Track:
    """A track of 100 frames with so many that are held (every other one, then the rest), beyond reach, or placed apart
    by the two ways; alike: of frame 60, between others of 0.5.
    """
    index = np.arange(100)
    distance = np.where(index < apart, 9.0, 0.5).astype(np.float32)
    distance[known:] = np.nan
    likeness = np.where(np.abs(index - 60) < 10, 0.5, np.nan).astype(np.float32)
    likeness[60] = alike
    turns = np.isin(index, np.concatenate([index[::2], index[1::2]])[:held])
    shift, sure = np.zeros((100, 2), np.float32), np.ones(100, np.float32)
    return Track(shift, sure, turns, index < beyond, distance, likeness, method)


@pytest.mark.parametrize(
    ("found", "phrase"),
    [
        (track(held=51), "held in 51 %"),
        (track(beyond=31), "search range in 31 %"),
        (track(CONTRAST, apart=34), "differs in 34 %"),
        (track(CONTRAST, apart=17, known=50), "differs in 34 %"),
        (track(CONTRAST, alike=0.1), "80 % less alike"),
    ],
)
def test_each_doubt_says_what_was_seen(found: Track, phrase: str) -> None:
    doubts = assess_track(found, SECONDS, ALL, 50).doubts
    assert len(doubts) == 1
    assert phrase.replace(" %", "%") in doubts[0]


def test_breathing_out_of_the_plane_is_no_doubt() -> None:
    for method in (BMODE, CONTRAST):
        assert assess_track(track(method, held=30, beyond=10, apart=33, alike=0.4), SECONDS, ALL, 50).doubts == ()


def test_a_probe_that_is_moved_away_is_a_doubt_though_few_frames_are_held() -> None:
    """A third of the frames in one piece, 7 s; the same third in many pieces is breathing."""
    away = replace(track(), held=np.arange(100) >= 66)
    assert "on end in 2" in assess_track(away, SECONDS, ALL, 50).doubts[0]
    assert assess_track(track(held=34), SECONDS, ALL, 50).doubts == ()
    assert assess_track(away, SECONDS * 0.2, ALL, 50).doubts == ()  # within 1.4 s


def test_speckle_of_the_time_before_the_contrast_is_not_compared() -> None:
    changed = track(CONTRAST, alike=0.0)
    changed.alike[61:] = np.nan
    assert assess_track(changed, SECONDS, np.arange(100) >= 41, 50).doubts == ()
    assert assess_track(changed, SECONDS, np.arange(100) >= 40, 50).figures["unlike"] == 1.0


def test_speckle_that_renews_quickly_all_the_time_is_no_doubt() -> None:
    quick = replace(track(CONTRAST), alike=np.full(100, 0.2, np.float32))
    assert assess_track(quick, SECONDS, ALL, 50).doubts == ()
    assert assess_track(replace(quick, alike=np.full(100, -0.1, np.float32)), SECONDS, ALL, 50).figures["unlike"] == 1.0


def test_frames_before_the_contrast_do_not_count() -> None:
    early = replace(track(CONTRAST), held=np.arange(100) < 40)
    assert assess_track(early, SECONDS, np.arange(100) >= 60, 80).figures["lost_share"] == 0.0
    assert "before the enhancement" in assess_track(early, SECONDS, np.arange(100) >= 60, 30).doubts[0]


def test_a_person_lets_a_doubtful_track_through() -> None:
    doubtful = assess_track(track(held=51), SECONDS, ALL, 50)
    with pytest.raises(UntrustedTrack) as caught:
        require_trusted(doubtful, checked=False)
    assert (caught.value.reason, caught.value.value) == ("track-to-be-looked-at", doubtful.doubts[0])
    require_trusted(doubtful, checked=True)
    require_trusted(assess_track(track(), SECONDS, ALL, 50), checked=False)
