"""Which tracks a person must look at. Full motion and its figures: see test_full_motion."""

from __future__ import annotations

import numpy as np
import pytest

from client.tracking import BMODE, CONTRAST, Track
from client.trust import UntrustedTrack, judged, require

ALL = np.ones(100, dtype=bool)


def track(method: str = BMODE, held: int = 0, beyond: int = 0, apart: int = 0, known: int = 100) -> Track:
    """A track of 100 frames with so many that are held, beyond reach, or placed apart by the two ways."""
    index = np.arange(100)
    distance = np.where(index < apart, 9.0, 0.5).astype(np.float32)
    distance[known:] = np.nan
    return Track(
        np.zeros((100, 2), np.float32), np.ones(100, np.float32), index < held, index < beyond, distance, method
    )


@pytest.mark.parametrize(
    ("found", "phrase"),
    [
        (track(held=51), "held in 51 %"),
        (track(beyond=31), "search range in 31 %"),
        (track(CONTRAST, apart=16), "differs in 16 %"),
        (track(CONTRAST, apart=10, known=50), "differs in 20 %"),
    ],
)
def test_each_doubt_says_what_was_seen(found: Track, phrase: str) -> None:
    doubts = judged(found, ALL, 50).doubts
    assert len(doubts) == 1
    assert phrase.replace(" %", "%") in doubts[0]


def test_breathing_out_of_the_plane_is_no_doubt() -> None:
    for method in (BMODE, CONTRAST):
        assert judged(track(method, held=30, beyond=10, apart=5), ALL, 50).doubts == ()


def test_frames_before_the_contrast_do_not_count() -> None:
    early = track(CONTRAST, held=40)
    assert judged(early, np.arange(100) >= 60, 80).figures["lost_share"] == 0.0
    assert "before the enhancement" in judged(early, np.arange(100) >= 60, 30).doubts[0]


def test_a_person_lets_a_doubtful_track_through() -> None:
    doubtful = judged(track(held=90), ALL, 50)
    with pytest.raises(UntrustedTrack) as caught:
        require(doubtful, checked=False)
    assert (caught.value.reason, caught.value.value) == ("track-to-be-looked-at", doubtful.doubts[0])
    require(doubtful, checked=True)
    require(judged(track(), ALL, 50), checked=False)
