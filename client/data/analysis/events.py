"""What happens in an examination besides the bolus: frozen pictures, flashes of destruction, a second injection.

All are recognised on the whole contrast pane. A flash is a burst at high power that destroys the bubbles:
for a moment the pane is bright, then darker than before until it has filled again (destruction-replenishment). What it
shows is not the bolus, so neither the burst nor the refill belongs to the curve.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from client.data.imaging.clip_doubts import SAME_LEVELS
from client.data.imaging.frame_store import Frames
from client.data.imaging.recording import F64, U8

Bool = npt.NDArray[np.bool_]

_STRIPS = 16
"""Of so many strips of a picture, the middle one tells most pictures apart."""
_DARK_LEVEL = 2.0
"""A pane below this mean shows nothing, so that it repeats without being frozen."""
_FLASH_LEVELS = 25.0
"""Rise of the pane's mean in a flash, over the frames before it and after it: 6 dB of 60."""
_BARE_LEVELS = 50.0
"""The rise, where nothing is lost afterwards."""
_STEP_LEVELS = 8.0
"""Least step from one frame to the next with which a flash begins."""
_FLASH_S = 2.0
_LOST_LEVELS = 10.0
"""A drop below the level before the flash that says that bubbles were destroyed, 2.4 dB of 60."""
_OPEN_SHARE = 0.2
"""Of the drop that may be open when the pane counts as filled again: the bolus itself decays meanwhile."""
_REFILL_S = 15.0
_BEFORE = 5
"""Frames whose median is the level before a flash."""
_ARRIVAL_LEVELS = 17.0
"""Decay after the first bolus, and rise of the second one, 4 dB of 60."""
_ARRIVAL_S = 30.0
"""A bolus arrives within this time."""
_JUMP_SHARE = 0.5
"""A rise of which more than this comes from one frame to the next is a turned knob or a replaced probe, no bolus."""
_GAP_S = 5.0
"""A longer step in time is a gap between clips, over which gain and view may change."""
_SETTLED_S = 20.0
"""Earliest second arrival after the peak of the first: before, the liver's own second hump comes."""


def find_repeated_frames(contrast: Frames, bmode: Frames) -> Bool:
    """Which frames (t) show the picture of the frame before them; bmode is empty on contrast-only clips.

    Pictures that differ do so in a few rows already, so the others are seldom read.
    """
    rows, columns = contrast.shape[1:]
    strip = contrast.crop((0, rows // 2, columns, rows // 2 + max(1, rows // _STRIPS)))
    found = np.zeros(len(contrast), dtype=bool)
    before: U8 | None = None
    for index, part in enumerate(strip):
        if before is not None and _sum_differences(before, part) <= SAME_LEVELS * rows * columns:
            pairs = [(pane[index - 1], pane[index]) for pane in (contrast, bmode) if pane]
            lit = any(cv2.mean(shown)[0] > _DARK_LEVEL for _, shown in pairs)
            found[index] = lit and all(_is_alike(*pair) for pair in pairs)
        before = part
    return found


def _sum_differences(one: U8, other: U8) -> float:
    """Sum of the differences, levels."""
    return cv2.norm(one, other, cv2.NORM_L1)


def _is_alike(one: U8, other: U8) -> bool:
    return _sum_differences(one, other) <= SAME_LEVELS * one.size


def find_flashes(levels: F64, seconds: F64) -> Bool:
    """Frames (t) of flashes and of the refill after them, clip by clip. levels (t): means of the pane."""
    gaps = np.flatnonzero(np.diff(seconds) > _GAP_S) + 1
    clips = zip(np.split(levels, gaps), np.split(seconds, gaps), strict=True)
    return np.concatenate([_find_clip_flashes(part, times) for part, times in clips])


def _find_clip_flashes(levels: F64, seconds: F64) -> Bool:
    marked = np.zeros(len(levels), dtype=bool)
    index = 1
    while index < len(levels):
        end, before = index, float(levels[index])
        if before - levels[max(0, index - 1)] > _STEP_LEVELS:  # rare, so the median is seldom needed
            good = np.flatnonzero(~marked[:index])[-_BEFORE:]
            before = float(np.median(levels[good])) if len(good) else float(levels[0])
            end = _find_flash_end(levels, seconds, index, before) if levels[index] - before > _FLASH_LEVELS else index
        if end > index:
            filled = _find_refill(levels, seconds, end, before)
            if filled == end and float(levels[index:end].max()) - before < _BARE_LEVELS:
                filled = index  # breathing shows a large dark lesion and bright liver in turn
            marked[index:filled] = True
            end = filled
        index = max(end, index + 1)
    return marked


def _find_flash_end(levels: F64, seconds: F64, start: int, before: float) -> int:
    """The first frame after a burst that begins at `start`; `start` where it is none, since the pane stays bright."""
    after = start
    while after < len(levels) and seconds[after] - seconds[start] <= _FLASH_S:
        burst = float(levels[start : after + 1].max())
        if levels[after] < before + 0.25 * (burst - before):
            return after
        after += 1
    return start


def _find_refill(levels: F64, seconds: F64, start: int, before: float) -> int:
    """The first frame from `start` whose level is back."""
    drop = before - float(levels[start])
    if drop < _LOST_LEVELS:
        return start
    window = np.flatnonzero((np.arange(len(levels)) >= start) & (seconds <= seconds[start] + _REFILL_S))
    back = window[levels[window] >= before - max(_OPEN_SHARE * drop, 0.5 * _LOST_LEVELS)]
    return int(back[0]) if len(back) else int(window[-1]) + 1


def find_second_arrival(levels: F64, seconds: F64) -> float | None:
    """Time at which the pane is darkest before a second bolus, s on the axis of `seconds`; None where none comes.

    levels (t): smoothed means of the pane, without flashes. The pane must have decayed from its first peak, and must
    then rise within one clip, neither at once nor slowly.
    """
    gaps = np.flatnonzero(np.diff(seconds) > _GAP_S) + 1
    for part in np.split(np.arange(len(levels)), gaps):
        for index in part:
            window = part[(part < index) & (seconds[part] > seconds[index] - _ARRIVAL_S)]
            if len(window) and _is_arrival(levels, seconds, window, int(index)):
                return float(seconds[window[int(np.argmin(levels[window]))]])
    return None


def _is_arrival(levels: F64, seconds: F64, window: npt.NDArray[np.int_], index: int) -> bool:
    darkest = int(window[int(np.argmin(levels[window]))])
    rise = float(levels[index] - levels[darkest])
    first = int(np.argmax(levels[: darkest + 1]))
    decayed = levels[first] - levels[darkest] >= _ARRIVAL_LEVELS and seconds[darkest] - seconds[first] >= _SETTLED_S
    if rise < _ARRIVAL_LEVELS or not decayed:
        return False
    return float(np.diff(levels[darkest : index + 1]).max()) <= _JUMP_SHARE * rise
