"""What every reader gives of a file: anonymous pictures in order, their times, and where the panes are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from client.faults import Unusable

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are the first ones outside."""

RATE_REMEDY = "write the true frame rate of the examination in the column frame_rate_hz of this row"


class ClipError(Unusable):
    """A clip that cannot be used."""


@dataclass(frozen=True, slots=True)
class Region:
    """A two-dimensional ultrasound region that a file states. mm_per_pixel: None where its unit is not a length."""

    box: Box
    mm_per_pixel: float | None


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

    def glance(self) -> Sequence[U8]:
        """A few pictures spread over the clip, at least one: enough to tell the panes and the tint."""
        ...

    def pictures(self) -> Iterator[U8]:
        """All pictures in order, one at a time. Raises ClipError where one cannot be decoded."""
        ...

    def length(self) -> int:
        """The number of frames that can be read, which may need a pass over the file."""
        ...

    def seconds(self, frames: int, frame_rate_hz: float | None) -> F64:
        """Times (t) of the frames from the first one, s. frame_rate_hz: what the manifest says.

        Raises ClipError when nothing tells the times.
        """
        ...


class Reader(Protocol):
    """A module with this function is a reader; `clip.READERS` is the list."""

    def open(self, path: Path) -> Recording:
        """Opens one file. Raises ClipError."""
        ...


def unreadable(path_kind: str, value: str) -> ClipError:
    """The error of a file that its decoder rejects. value: what is wrong, without names."""
    return ClipError(
        "unreadable-clip",
        f"a {path_kind} clip can be decoded from its first to its last frame",
        value,
        "export the clip again and check that it plays",
    )


def constant_rate(frames: int, rate_hz: float) -> F64:
    """Times (t) of frames at an even rate, s."""
    return np.arange(frames, dtype=np.float64) / rate_hz
