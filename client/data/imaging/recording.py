"""The interface of all readers: anonymous pictures in order, their times, and the regions of the panes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from client.data.imaging.tint import Tint
from client.faults.fault import Doubt, Unusable

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are the first ones outside."""

RATE_REMEDY = "write the true frame rate of the examination in the column frame_rate_hz of this row"
RATE_BOUNDS_HZ = (0.05, 500.0)
"""Of an examination: from a picture every 20 s to the fastest scanner."""
LONGEST_S = 3600.0
"""A clip lasts an hour at most: scanners stop a recording after minutes."""
MIN_SIDE_PX = 16
MAX_PIXELS = 1 << 25
"""Of a screen: 8K. A header that states more is damaged, and is refused before memory is asked for."""


class ClipError(Unusable):
    """A clip that cannot be used."""


@dataclass(frozen=True, slots=True)
class Region:
    """A two-dimensional ultrasound region that a file states. mm_per_pixel: None where its unit is not a length."""

    box: Box
    mm_per_pixel: float | None


@dataclass(frozen=True, eq=False, slots=True)
class Times:
    """The times of the frames of a clip.

    Attributes:
        seconds: f64 (t), time of each frame, from the first one.
        source: The keyword of a DICOM tag, "container" or "manifest".
        doubts: Statements of the file that contradict each other or the data.
    """

    seconds: F64
    source: str
    doubts: tuple[Doubt, ...] = ()

    @property
    def span_s(self) -> float:
        """From the first frame to the last one, s."""
        return float(self.seconds[-1] - self.seconds[0])


@dataclass(frozen=True, eq=False, slots=True)
class Glances:
    """Some pictures of a part of the screen, which are kept while the levels of a clip are read.

    Attributes:
        box: The part.
        indices: Of the frames to keep.
        pictures: Those kept so far, RGB u8 (h w 3), in order.
    """

    box: Box
    indices: frozenset[int] = frozenset()
    pictures: list[U8] = field(default_factory=list)


class Recording(Protocol):
    """An opened file. Pictures are RGB u8 (h w 3) of the whole screen; the caller crops them at once."""

    @property
    def rows(self) -> int:
        """Height of the screen, px."""
        ...

    @property
    def columns(self) -> int:
        """Width of the screen, px."""
        ...

    @property
    def manufacturer(self) -> str:
        """The device's maker as the file spells it, "" where it does not say."""
        ...

    @property
    def regions(self) -> tuple[Region, ...]:
        """The file's own two-dimensional regions that lie inside the screen."""
        ...

    @property
    def stated(self) -> int:
        """How many frames the file says to have, 0 where it does not say; it may be wrong."""
        ...

    def sample_pictures(self, count: int) -> Sequence[U8]:
        """About `count` pictures spread over the clip, at least one: enough to find the panes and the tint."""
        ...

    def pictures(self) -> Iterator[U8]:
        """All pictures in order, one at a time. Raises ClipError where one cannot be decoded."""
        ...

    def levels(self, panes: Sequence[tuple[Box, Tint]], glances: Glances) -> Iterator[tuple[U8, ...]]:
        """Of every picture in order the levels u8 (h w) of each pane, good until the next one. Raises as `pictures`.

        Args:
            panes: Where each lies on the screen, and the colours that it is shown in.
            glances: Takes its pictures on the way.
        """
        ...

    def length(self) -> int:
        """The number of frames that can be read, which may need a pass over the file."""
        ...

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        """Times of the frames. frame_rate_hz: what the manifest says.

        Raises ClipError when no times are known.
        """
        ...


class Reader(Protocol):
    """A module with this function is a reader; `clip.READERS` is the list."""

    def open(self, path: Path) -> Recording:
        """Opens one file. Raises ClipError."""
        ...


def unreadable_error(path_kind: str, value: str) -> ClipError:
    """The error of a file that its decoder rejects. value: what is wrong, without names."""
    return ClipError(
        "unreadable-clip",
        f"a {path_kind} clip can be decoded from its first to its last frame",
        value,
        "export the clip again and check that it plays",
    )


def missing_file_error() -> ClipError:
    """The error of a clip that is not there."""
    return ClipError(
        "missing-clip",
        "every clip of the table can be opened",
        "no such file",
        "put the file where the clips column says, or correct the cell",
    )


def missing_times_error(value: str) -> ClipError:
    """The error of a clip whose frames have no times. value: what was found instead."""
    return ClipError("no-frame-times", "a clip states the times of its frames", value, RATE_REMEDY)


def colours_error(tag: str, stated: str, found: str) -> ClipError:
    """The error of a file whose colours are not what its header says. tag: the keyword that states them."""
    return ClipError(
        "colours-disagree",
        f"the pixels of a DICOM clip have the colours that {tag} states",
        f"{stated}, but {found}",
        f"export the clip again with the right {tag}, or as AVI or MP4 with frame_rate_hz in the table",
    )


def check_plausible_times(times: Times) -> Times:
    """The times, where their rate and their span are possible. Raises ClipError."""
    if len(times.seconds) < 2:
        return times
    rate = (len(times.seconds) - 1) / max(times.span_s, 1e-9)
    if RATE_BOUNDS_HZ[0] <= rate <= RATE_BOUNDS_HZ[1] and times.span_s <= LONGEST_S:
        return times
    low, high = RATE_BOUNDS_HZ
    raise ClipError(
        "impossible-frame-times",
        f"a clip has {low:g} to {high:g} frames a second and lasts an hour at most",
        f"{rate:.4g} frames a second from {times.source}, so {times.span_s:.4g} s for {len(times.seconds)} frames",
        f"FrameTime is in milliseconds: export the clip again, or {RATE_REMEDY}",
    )


def check_size(kind: str, rows: int, columns: int) -> None:
    """Check the size of a screen before memory is allocated. Raises ClipError."""
    if min(rows, columns) < MIN_SIDE_PX:
        raise unreadable_error(kind, "no image in the file")
    if rows * columns > MAX_PIXELS:
        raise unreadable_error(kind, f"a picture of {columns} x {rows} pixels")


def make_even_times(frames: int, rate_hz: float, source: str) -> Times:
    """Times of frames at an even rate."""
    return Times(np.arange(frames, dtype=np.float64) / rate_hz, source)


def spread_indices(frames: int, count: int) -> list[int]:
    """About `count` indices of frames, evenly over a clip, the ends left out."""
    return sorted({(2 * number + 1) * frames // (2 * count) for number in range(count)})
