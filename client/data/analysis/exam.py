"""The clips of a lesion on one time axis, without what is not the bolus: repeated pictures and a second injection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from client.data.analysis import events, tic
from client.data.imaging.clip import Clip
from client.data.imaging.clip_doubts import still_error
from client.data.imaging.frame_store import Frames, chain_frames
from client.data.imaging.recording import F64, Box, ClipError

Bool = npt.NDArray[np.bool_]

FLASH, REPEATED, AGAIN = "flash", "repeated", "second injection"
"""Why frames are left out."""
MIN_FRAMES = 8
"""Fewer frames are pictures, not a course in time."""
_OVERLAP_S = 0.5
"""Start times are written by hand, to the half second at best."""
_SMOOTHING_S = 5.0
"""Of the pane's mean level, before a second arrival is looked for."""
_MOSTLY = 0.6
"""A part of a pane that is larger than this share of it is not worth a cut."""


@dataclass(frozen=True, eq=False)
class Exam:
    """The clips of one lesion on one time axis.

    Attributes:
        contrast, bmode: Frames (t h w) of the clips, bmode is empty where a clip has none.
        seconds: f64 (t), strictly rising.
        reference: Index of the annotated frame.
        flash, frozen: Numbers of frames left out, of bursts of destruction with the refill after them and of repeated
            pictures.
        reinjection_s: Where the exam was cut because of a second injection, None where it was not.
        declared: Whether the manifest states the second injection.
        left_out: Seconds of the frames left out, by reason, for the quality sheet.
    """

    first: Clip
    contrast: Frames
    bmode: Frames
    seconds: F64
    reference: int
    flash: int = 0
    frozen: int = 0
    reinjection_s: float | None = None
    declared: bool = False
    left_out: Mapping[str, F64] = field(default_factory=dict)


def crop_clip(clip: Clip, part: Box) -> Clip:
    """The clip with its panes cut to a part of them: x0, y0, x1, y1 in pane coordinates; the rest is not read.

    The boxes of the panes move along, so places on the screen keep their meaning.
    """
    x0, y0, x1, y1 = _clamp_box(part, clip)
    rows, columns = clip.contrast.shape[1:]
    if (x1 - x0) * (y1 - y0) >= _MOSTLY * rows * columns:
        return clip
    return replace(
        clip,
        contrast=clip.contrast.crop((x0, y0, x1, y1)),
        bmode=None if clip.bmode is None else clip.bmode.crop((x0, y0, x1, y1)),
        contrast_box=_shift_box(clip.contrast_box, (x0, y0, x1, y1)),
        bmode_box=None if clip.bmode_box is None else _shift_box(clip.bmode_box, (x0, y0, x1, y1)),
    )


def _clamp_box(part: Box, clip: Clip) -> Box:
    rows, columns = clip.contrast.shape[1:]
    return max(0, part[0]), max(0, part[1]), min(columns, part[2]), min(rows, part[3])


def _shift_box(pane: Box, part: Box) -> Box:
    return pane[0] + part[0], pane[1] + part[1], pane[0] + part[2], pane[1] + part[3]


def join_clips(clips: Sequence[Clip], frame: int, reinjection_s: float | None = None) -> Exam:
    """Clips on one time axis, up to a second injection.

    Args:
        frame: The annotated frame, 0-based in the first clip.
        reinjection_s: Time of a second injection as the manifest declares it; an undeclared one is recognised by its
            arrival.

    Raises:
        ClipError: The clips overlap, differ in size, or have too few frames.
    """
    _check_apart(clips)
    for number, clip in enumerate(clips, start=1):
        check_size(clips[0].contrast.shape[1:], clip, number)
    seconds = np.concatenate([clip.seconds for clip in clips])
    order = np.argsort(seconds, kind="stable")
    reference = int(np.flatnonzero(order == frame)[0])
    contrast = chain_frames(clip.contrast for clip in clips).select(order)
    bmode = chain_frames(clip.bmode for clip in clips if clip.bmode is not None)
    bmode = bmode.select(order if len(bmode) == len(contrast) else order[:0])
    kept = _select_rising(seconds[order], reference)
    frozen = events.find_repeated_frames(contrast, bmode) & kept
    kept &= ~frozen
    if not kept[reference]:  # a repeated picture stands for the one that it repeats
        kept[int(np.flatnonzero(kept[:reference])[-1])] = False
        kept[reference] = True
    if reinjection_s is not None:
        kept &= seconds[order] < reinjection_s
    _check_reference(bool(kept[reference]))
    index = np.flatnonzero(kept)
    exam = Exam(
        first=clips[0],
        contrast=contrast.select(index),
        bmode=bmode.select(index if bmode else index[:0]),
        seconds=seconds[order][kept],
        reference=int(kept[:reference].sum()),
        frozen=int(frozen.sum()),
        reinjection_s=reinjection_s,
        declared=reinjection_s is not None,
        left_out={REPEATED: seconds[order][frozen], AGAIN: _select_after(seconds[order], reinjection_s)},
    )
    _check_length(exam)
    return _remove_events(exam)


def _select_after(seconds: F64, end_s: float | None) -> F64:
    return seconds[seconds >= (np.inf if end_s is None else end_s)]


def _select_rising(seconds: F64, reference: int) -> Bool:
    """The first of frames at one time; of those with the annotated frame's time, the annotated one."""
    rising = np.concatenate([[True], np.diff(seconds) > 0])
    if not rising[reference]:
        rising[reference - 1 : reference + 1] = False, True
    return rising


def _remove_events(exam: Exam) -> Exam:
    """The exam without flashes, and cut before a second injection that shows; both are told on the whole pane."""
    levels = exam.contrast.means
    flash = events.find_flashes(levels, exam.seconds)
    flash[exam.reference] = False
    left_out = {**exam.left_out, FLASH: exam.seconds[flash]}
    calm = _select_frames(exam, np.flatnonzero(~flash))
    smoothed = tic.smooth(levels[~flash], calm.seconds, _SMOOTHING_S)
    again = events.find_second_arrival(smoothed, calm.seconds)
    if again is not None:
        end = int(np.searchsorted(calm.seconds, again))
        _check_reference(calm.reference < end)
        cut = again if exam.reinjection_s is None else exam.reinjection_s
        left_out[AGAIN] = np.concatenate([_select_after(calm.seconds, again), left_out[AGAIN]])
        calm = replace(_select_frames(calm, np.arange(end)), reinjection_s=cut)
    _check_length(calm)
    return replace(calm, flash=int(flash.sum()), left_out=left_out)


def _select_frames(exam: Exam, index: npt.NDArray[np.intp]) -> Exam:
    return replace(
        exam,
        contrast=exam.contrast.select(index),
        bmode=exam.bmode.select(index if exam.bmode else index[:0]),
        seconds=exam.seconds[index],
        reference=int(np.searchsorted(index, exam.reference)),
    )


def _check_reference(kept: bool) -> None:
    if not kept:
        raise make_reference_error()


def _check_length(exam: Exam) -> None:
    if len(exam.seconds) == 1 and exam.frozen:
        raise still_error(f"one picture, {exam.frozen + 1} times")
    if len(exam.seconds) < MIN_FRAMES:
        raise make_length_error(len(exam.seconds))


def check_size(size: tuple[int, ...], clip: Clip, number: int) -> None:
    """Raises ClipError where the panes of a clip, the `number`th from 1, have another size (h w) than the first's."""
    if clip.contrast.shape[1:] != size:
        raise make_size_error(number)


def make_size_error(number: int) -> ClipError:
    """The error for a clip, counted from 1, whose panes have another size than the first's."""
    return ClipError(
        "clips-differ",
        "all clips of a lesion show panes of one size",
        f"another size in clip {number}",
        "list only clips of one layout and depth",
    )


def make_length_error(frames: int) -> ClipError:
    """The error for an exam of so few frames."""
    return ClipError(
        "too-few-frames",
        f"the clips of a lesion have at least {MIN_FRAMES} different frames together",
        f"{frames}",
        "add the cine loop of the arterial phase",
    )


def make_reference_error() -> ClipError:
    """The error for an outline that belongs to a second injection."""
    return ClipError(
        "outline-after-reinjection",
        "the outlined frame lies before a second injection, from which on nothing counts",
        "a frame after it",
        "outline a frame of the first injection, or list only the clips of the second one with their times",
    )


def _check_apart(clips: Sequence[Clip]) -> None:
    for number, (one, other) in enumerate(pairwise(clips), start=1):
        if one.seconds[-1] > other.seconds[0] + _OVERLAP_S:
            raise ClipError(
                "clips-overlap",
                "a clip ends before the next one starts",
                f"clip {number} ends at {one.seconds[-1]:.1f} s, the next starts at {other.seconds[0]:.1f} s",
                "correct clip_start_s, or frame_rate_hz if the clips play at another speed than they were taken",
            )
