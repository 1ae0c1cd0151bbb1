"""A baseline before the contrast, one run of the loop, some seconds: on phantoms, whole and cut."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from made_exams import phantom

from client.data.analysis.exam import join_clips
from client.data.analysis.exam_doubts import (
    DoubtedClip,
    check_length,
    doubt_baseline,
    list_exam_doubts,
    require_checked,
)
from client.data.imaging.clip import Clip
from client.data.imaging.recording import ClipError
from client.faults.fault import Doubt


def cut(clip: Clip, first: int) -> Clip:
    """The clip without its first frames."""
    index = np.arange(first, len(clip.seconds))
    bmode = None if clip.bmode is None else clip.bmode.select(index)
    return replace(clip, contrast=clip.contrast.select(index), bmode=bmode, seconds=clip.seconds[index])


def reasons(clips: list[Clip], frame: int) -> list[str]:
    return [doubt.reason for doubt in list_exam_doubts(join_clips(clips, frame), clips)]


@pytest.mark.parametrize("number", range(3))
def test_a_whole_phantom_has_no_doubt_and_one_cut_at_the_rise_has_one(number: int) -> None:
    _, clips, truth = phantom(number)
    assert reasons(clips, truth.reference) == []
    levels = clips[0].contrast.means
    share = (levels - levels[:5].mean()) / (levels.max() - levels[:5].mean())
    for risen in (0.25, 0.5, 0.75, 0.95):
        first = int(np.argmax(share > risen))
        if first < truth.reference:
            assert reasons([cut(clips[0], first), *clips[1:]], truth.reference - first) == ["no-baseline"], risen


def test_two_seconds_of_baseline_are_enough() -> None:
    _, clips, truth = phantom(0)
    levels = clips[0].contrast.means
    arrival = int(np.argmax(levels > levels[:5].mean() + 0.1 * (levels.max() - levels[:5].mean())))
    first = arrival - int(2 / float(np.diff(clips[0].seconds).mean()))
    assert reasons([cut(clips[0], first), *clips[1:]], truth.reference - first) == []


@pytest.mark.parametrize(
    ("level", "brightest", "doubted"),
    [(3, 90, False), (30, 90, False), (60, 90, True), (88, 90, True), (2, 9, True), (0, 0, True), (10, 30, False)],
)
def test_a_bright_or_unchanging_beginning_is_no_baseline(level: float, brightest: float, doubted: bool) -> None:
    assert bool(list(doubt_baseline(level, brightest))) == doubted


@pytest.mark.parametrize(
    ("stills", "spans", "reason"),
    [
        ([False], [4.9], "clip-too-short"),
        ([False, False], [4.0, 4.9], "clip-too-short"),
        ([True], [0.0], "still-image"),
        ([True, False], [0.0, 60.0], "still-image"),
        ([False], [5.0], None),
        ([False, False], [2.0, 40.0], None),
        ([False, True], [40.0, 0.0], None),
        ([], [], None),
    ],
)
def test_one_clip_must_last_and_the_first_must_move(stills: list[bool], spans: list[float], reason: str | None) -> None:
    if reason is None:
        check_length(stills, spans)
        return
    with pytest.raises(ClipError) as caught:
        check_length(stills, spans)
    assert caught.value.reason == reason


def test_what_withholds_a_lesion_is_told_with_the_track_and_passes_a_process() -> None:
    shown = Doubt("perhaps-not-real-time", "it plays", "the rate of a file", "look", withholds=False)
    against = Doubt("no-baseline", "it begins before", "level 80", "look")
    require_checked([shown], (), False)
    require_checked([shown, against], ("held",), True)
    with pytest.raises(DoubtedClip) as caught:
        require_checked([shown, against], ("the box is held",), False)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.reason, str(again)) == (DoubtedClip, "no-baseline", str(caught.value))
    assert again.value == "it begins before, found level 80; track: the box is held"
