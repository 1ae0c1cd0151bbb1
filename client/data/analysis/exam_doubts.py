"""What an exam must show before it is trusted: some seconds of it, and contrast that arrives after a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from client.data.analysis import tic
from client.data.analysis.exam import Exam
from client.data.imaging.clip import Clip
from client.data.imaging.clip_doubts import doubt_real_time, still_error
from client.data.imaging.frame_store import Frames
from client.data.imaging.recording import F64, U8, ClipError
from client.faults.fault import Doubt, DoubtedClip

LEAST_S = 5.0
"""Of the longest clip: contrast takes longer than this to arrive and to fill a lesion (ceus.md 1.4)."""
_RISE_LEVELS = 8.0
"""By which the pane brightens at least: 2 dB of 60."""
_DARK_SHARE = 0.6
"""Of the brightest level, below which the beginning is a baseline."""
_BASELINE_S = 1.0
"""How long the baseline lasts at least."""
_BEGINNING_S = 2.0
_RISEN_SHARE, _RISEN_LEVELS = 0.1, 4.0
"""The baseline ends where the level has risen by a tenth of its rise, and by more than speckle moves the mean."""
_MOST_REPEATED = 0.3
_BACK_SHARE = 0.25
"""A loop falls from one frame to the next to within this share of the rise above the baseline."""
_FALL_SHARE = 0.5
_RUN = 3
"""So many frames in a row are the first ones again."""
_SIDE = 64
_SAME_LEVELS = 1.5
"""Mean difference of thumbnails of one picture compressed twice; a breath or new speckle moves them by more."""
_SMOOTHING_S = 2.0


def check_length(stills: Sequence[bool], spans_s: Sequence[float]) -> None:
    """Check that the clips of a lesion can show a course in time. Raises ClipError.

    Args:
        stills: Of each clip, whether it is one picture.
        spans_s: From the first to the last frame of each, s.
    """
    if stills and stills[0]:
        raise still_error("one picture" if len(stills) == 1 else f"one picture in clip 1 of {len(stills)}")
    if spans_s and max(spans_s) < LEAST_S:
        raise ClipError(
            "clip-too-short",
            f"a clip of a contrast examination lasts {LEAST_S:g} s or more",
            f"{max(spans_s):.3g} s",
            "export the whole loop; where it plays faster than it was taken, write the true frame_rate_hz of this row",
        )


def doubt_baseline(level: float, brightest: float) -> Iterator[Doubt]:
    """The doubt of an exam that does not begin before the contrast.

    Args:
        level: Mean level of the contrast pane in its first frames.
        brightest: Its highest mean level in all clips.
    """
    if level > _DARK_SHARE * brightest or brightest - level < _RISE_LEVELS:
        yield _doubt_arrival(f"level {level:.0f} of 255 at the beginning, {brightest:.0f} at the most")


def _doubt_arrival(found: str) -> Doubt:
    return Doubt(
        "no-baseline",
        "the first clip begins before the contrast arrives, and shows it arrive",
        found,
        "list the clip of the arrival first; where there is none and the lesion is to be used all the same, write yes "
        "in clip_checked",
    )


def list_exam_doubts(exam: Exam, clips: Sequence[Clip]) -> tuple[Doubt, ...]:
    """What speaks against an exam by its whole course. clips: as they were read, since a loop looks like a flash."""
    return (*_doubt_course(exam), *_doubt_loops(clips), *_doubt_repeats(exam))


def _doubt_course(exam: Exam) -> Iterator[Doubt]:
    levels, seconds = exam.contrast.means, exam.seconds
    smoothed = tic.smooth(levels, seconds, _SMOOTHING_S)
    first = float(levels[seconds <= seconds[0] + _BEGINNING_S][:_RUN].min())
    brightest = float(smoothed.max())
    late = list(doubt_baseline(first, brightest))
    yield from late
    if late:
        return
    rise = brightest - first
    risen = levels - first > max(_RISEN_SHARE * rise, _RISEN_LEVELS)
    start = int(np.argmax(risen & np.append(risen[1:], True)))
    lasts = float(seconds[start] - seconds[0])
    if risen.any() and lasts < _BASELINE_S:
        yield _doubt_arrival(f"a level that rises {lasts:.1f} s after the first frame")


def _doubt_loops(clips: Sequence[Clip]) -> Iterator[Doubt]:
    for number, clip in enumerate(clips, start=1):
        if (again := _find_loop(clip)) is not None:
            yield Doubt(
                "clip-repeats",
                "a clip shows the examination once",
                f"the first pictures of clip {number} again at {again:.1f} s, from enhancement to baseline at once",
                "export one run of the loop; where it is another recording, write yes in clip_checked",
            )


def _find_loop(clip: Clip) -> float | None:
    """When the first pictures come again, s; None where they do not."""
    levels = clip.contrast.means
    baseline = float(levels[:_RUN].min())
    rise = float(levels.max()) - baseline
    if rise < _RISE_LEVELS:
        return None
    falls = (np.diff(levels) < -_FALL_SHARE * rise) & (levels[1:] < baseline + _BACK_SHARE * rise)
    for index in (np.flatnonzero(falls) + 1).tolist():
        run = min(_RUN, len(levels) - index)
        if all(_shows_same(clip, number, index + number) for number in range(run)):
            return float(clip.seconds[index])
    return None


def _shows_same(clip: Clip, one: int, other: int) -> bool:
    panes = [pane for pane in (clip.contrast, clip.bmode) if pane]
    return all(_measure_difference(pane, one, other) <= _SAME_LEVELS for pane in panes)


def _measure_difference(pane: Frames, one: int, other: int) -> float:
    """Mean difference of two frames' thumbnails, levels."""
    first, second = (_shrink(pane[index]) for index in (one, other))
    return float(np.abs(first - second).mean())


def _shrink(frame: U8) -> F64:
    return np.asarray(cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), dtype=np.float64)


def _doubt_repeats(exam: Exam) -> Iterator[Doubt]:
    frames = exam.frozen + exam.flash + len(exam.seconds)
    if exam.frozen > _MOST_REPEATED * frames:
        yield doubt_real_time(f"{exam.frozen} of {frames} frames that repeat the picture before them")


def require_checked(doubts: Sequence[Doubt], tracked: Sequence[str], checked: bool) -> None:
    """Require clips without doubts that withhold a lesion, or clips that a person has looked at (`checked`).

    tracked: doubts of the track, which are told along. Raises DoubtedClip.
    """
    against = [doubt for doubt in doubts if doubt.withholds]
    if against and not checked:
        found = "; ".join([*map(str, against), *(f"track: {doubt}" for doubt in tracked)])
        raise DoubtedClip(
            against[0].reason, "the clips of a lesion are what they are taken for", found, against[0].remedy
        )
