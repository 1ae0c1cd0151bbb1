"""The clips of a lesion on one time axis, and what is left out of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from made_frames import frames_of

from client.data.analysis.exam import crop_clip, join_clips
from client.data.imaging.clip import Clip, ClipError


def clip_of(frames: npt.NDArray[np.uint8], seconds: npt.NDArray[np.float64], with_bmode: bool = True) -> Clip:
    rows, columns = frames.shape[1:]
    bmode = frames_of(frames[:, ::-1]) if with_bmode else None
    box = (0, 0, columns, rows)
    return Clip(frames_of(frames), bmode, seconds, None, box, box if with_bmode else None, rows, columns)


def numbered(first: int, count: int, start_s: float, side: int = 20) -> Clip:
    frames = np.repeat(np.arange(first, first + count, dtype=np.uint8), side * side).reshape(count, side, side)
    return clip_of(frames, start_s + np.arange(count) * 0.5)


def test_clips_are_joined_on_one_time_axis() -> None:
    exam = join_clips([numbered(0, 20, 5.0), numbered(100, 6, 90.0), numbered(200, 6, 120.0)], 7)
    assert [int(frame[0, 0]) for frame in exam.contrast] == [*range(20), *range(100, 106), *range(200, 206)]
    assert exam.seconds[[0, 19, 20, 31]] == pytest.approx([5.0, 14.5, 90.0, 122.5])
    assert (np.diff(exam.seconds) > 0).all()
    assert len(exam.bmode) == 32
    assert int(exam.contrast[exam.reference][0, 0]) == 7


@pytest.mark.parametrize("frame", [0, 9, 10, 11])
def test_the_annotated_frame_counts_from_0_in_the_first_clip(frame: int) -> None:
    """Also where the second clip starts on the last frames of the first."""
    exam = join_clips([numbered(0, 12, 5.0), numbered(100, 6, 10.0)], frame)
    assert int(exam.contrast[exam.reference][0, 0]) == frame
    assert (np.diff(exam.seconds) > 0).all()


def test_clips_that_overlap_or_differ_are_refused() -> None:
    for others, reason in (
        ([numbered(0, 12, 9.0)], "clips-overlap"),
        ([numbered(0, 12, 20.0, side=22)], "clips-differ"),
        ([], "too-few-frames"),
    ):
        with pytest.raises(ClipError) as caught:
            join_clips([numbered(0, 12 if others else 3, 5.0), *others], 0)
        assert caught.value.reason == reason


def test_a_clip_without_bmode_makes_the_lesion_contrast_only() -> None:
    late = clip_of(np.zeros((6, 20, 20), np.uint8), 90 + np.arange(6.0), with_bmode=False)
    assert len(join_clips([numbered(0, 12, 5.0), late], 0).bmode) == 0


def bolus(seconds: npt.NDArray[np.float64], *starts: float, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Noise around a level that rises within 8 s of each start and then decays."""
    draw = np.random.default_rng(seed)
    after = [np.clip(seconds - start, 0, None) for start in starts]
    level = 12 + 110 * np.max([(1 - np.exp(-((t / 6) ** 2))) * np.exp(-t / 90) for t in after], axis=0)
    frames = level[:, None, None] + draw.normal(0, 6, (len(seconds), 24, 24))
    return np.asarray(np.clip(frames, 0, 255).astype(np.uint8))


def test_a_frozen_picture_counts_once() -> None:
    seconds = np.arange(60) * 0.5
    frames = bolus(seconds, 5.0)
    frames[30:41] = frames[30]
    clip = clip_of(frames, seconds)
    exam = join_clips([clip], 20)
    assert (exam.frozen, len(exam.seconds)) == (10, 50)
    assert exam.seconds[30:32].tolist() == [15.0, 20.5]
    frozen_reference = join_clips([clip], 36)
    assert frozen_reference.seconds[frozen_reference.reference] == 18.0
    assert len(frozen_reference.seconds) == 50


def test_a_still_contrast_pane_alone_is_not_frozen() -> None:
    seconds = np.arange(60) * 0.5
    frames = bolus(seconds, 5.0)
    still = frames.copy()
    still[30:41] = still[30]
    clip = dataclasses.replace(clip_of(frames, seconds), contrast=frames_of(still))
    assert join_clips([clip], 20).frozen == 0


def test_what_follows_a_declared_injection_does_not_count() -> None:
    seconds = np.arange(240) * 0.5
    clip = clip_of(bolus(seconds, 5.0), seconds)
    exam = join_clips([clip], 30, reinjection_s=60.0)
    assert exam.seconds[-1] < 60.0
    assert (exam.reinjection_s, exam.declared) == (60.0, True)
    with pytest.raises(ClipError) as caught:
        join_clips([clip], 130, reinjection_s=60.0)
    assert caught.value.reason == "outline-after-reinjection"


def test_a_second_arrival_cuts_the_exam() -> None:
    seconds = np.arange(480) * 0.5
    exam = join_clips([clip_of(bolus(seconds, 5.0, 150.0), seconds)], 30)
    assert not exam.declared
    assert exam.reinjection_s == pytest.approx(150.0, abs=5.0)
    assert exam.seconds[-1] < 155.0
    assert join_clips([clip_of(bolus(seconds, 5.0), seconds)], 30).reinjection_s is None
    with pytest.raises(ClipError) as caught:
        join_clips([clip_of(bolus(seconds, 5.0, 150.0), seconds)], 400)
    assert caught.value.reason == "outline-after-reinjection"


def test_a_flash_and_its_refill_are_left_out() -> None:
    seconds = np.arange(200) * 0.5
    frames = bolus(seconds, 5.0)
    clip = clip_of(frames, seconds)
    plain = join_clips([clip], 30)
    assert plain.flash == 0
    frames[80:82] = 230
    frames[82:90] = frames[82:90] // 4
    exam = join_clips([dataclasses.replace(clip, contrast=frames_of(frames))], 30)
    assert set(plain.seconds) - set(exam.seconds) == set(np.arange(80, 90) * 0.5)
    assert (exam.flash, len(exam.bmode), exam.reference) == (10, 190, 30)


def test_panes_are_cut_and_places_on_the_screen_stay() -> None:
    draw = np.random.default_rng(0)
    frames = draw.integers(0, 255, (9, 60, 80), dtype=np.uint8)
    box = (100, 50, 180, 110)
    whole = dataclasses.replace(clip_of(frames, np.arange(9.0)), contrast_box=box, bmode_box=(200, 50, 280, 110))
    part = crop_clip(whole, (-5, 10, 30, 40))
    assert np.array_equal(np.stack(part.contrast), frames[:, 10:40, 0:30])
    assert (part.contrast_box, part.bmode_box) == ((100, 60, 130, 90), (200, 60, 230, 90))
    assert part.contrast.means == pytest.approx(frames.mean(axis=(1, 2)))  # flashes are told on the whole pane
    assert crop_clip(whole, (-50, -50, 200, 200)) is whole
