"""What is wrong with a lesion by the counts, sizes and times of its clips alone: `check` finds it without a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from client.data.analysis.exam import MIN_FRAMES, make_length_error, make_reference_error, make_size_error
from client.data.imaging.clip import ClipError, ClipInfo
from client.data.imaging.frame_store import check_pane_bytes
from client.data.table.rows import Files, Row

_UNEVEN_S = 1.0
"""By which a frame's time may differ from that of frames evenly apart: what is not sure here `index` tells."""


def find_counted_faults(row: Row | Files, infos: Sequence[ClipInfo | None]) -> Iterator[ClipError]:
    """What `index` would refuse of a lesion, in its words. infos: of the row's clips, None for one that is unread."""
    known = [info for info in infos if info is not None]
    for info in known:
        left, top, right, bottom = info.contrast
        try:
            check_pane_bytes(info.frames, bottom - top, right - left)
        except ClipError as error:
            yield error
    if not known or len(known) < len(infos):
        return
    sizes = [(info.contrast[2] - info.contrast[0], info.contrast[3] - info.contrast[1]) for info in known]
    yield from (make_size_error(number) for number, size in enumerate(sizes, start=1) if size != sizes[0])
    end = row.reinjection_s if isinstance(row, Row) else None
    if end is not None and _is_outlined_after(row, known[0], end):
        yield make_reference_error()
        return
    count = sum(info.frames if end is None else _count_before(info, end) for info in known)
    if count < MIN_FRAMES and not all(info.still for info in known):  # which is told as what it is
        yield make_length_error(count)


def _is_outlined_after(row: Row | Files, first: ClipInfo, end: float) -> bool:
    """Whether the table's frame was certainly taken after a time in seconds, were the frames about evenly apart."""
    frame = row.outline.frame if row.outline is not None else None
    if frame is None or frame >= first.frames:
        return False
    return first.first_s >= end or first.first_s + frame * _measure_step(first) > end + _UNEVEN_S


def _count_before(info: ClipInfo, end: float) -> int:
    """The most frames that can lie before a time in seconds."""
    step = _measure_step(info)
    if info.first_s >= end or step == 0:
        return 0 if info.first_s >= end else info.frames
    return min(info.frames, int((end + _UNEVEN_S - info.first_s) / step) + 1)


def _measure_step(info: ClipInfo) -> float:
    """Mean time between frames, seconds."""
    return (info.last_s - info.first_s) / max(info.frames - 1, 1)
