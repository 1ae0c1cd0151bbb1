"""How a decoded picture is shown: turned and mirrored by the container's display matrix, with square pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame

from client.data.imaging.recording import U8, unreadable_error

_UNIT = 1 << 16
"""1 in a display matrix, whose numbers are 16.16."""
_SQUARE = 0.01
"""By how much a pixel's sides may differ: roundings of a size."""
_WIDEST = 4.0


@dataclass(frozen=True, slots=True)
class Geometry:
    """From a decoded picture to the shown one.

    Attributes:
        turns: Quarter turns against the clock.
        mirrored: Whether it is mirrored from left to right, before it is turned.
        aspect: Width of a pixel over its height; 1 where it is square.
    """

    turns: int = 0
    mirrored: bool = False
    aspect: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether the picture is shown as it is decoded."""
        return self == Geometry()

    def compute_size(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns as shown, of those decoded."""
        wide = round(columns * self.aspect)
        return (wide, rows) if self.turns % 2 else (rows, wide)

    def show(self, picture: U8) -> U8:
        """The picture (h w 3) as it is shown."""
        if self.aspect != 1.0:
            size = (round(picture.shape[1] * self.aspect), picture.shape[0])
            picture = cast(U8, cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
        return np.ascontiguousarray(np.rot90(picture[:, ::-1] if self.mirrored else picture, self.turns))


def read_geometry(frame: VideoFrame, aspect: Fraction | None) -> Geometry:
    """How a stream is shown, by its first frame.

    Args:
        aspect: Width of a pixel over its height as the stream states it, None or 0 where it does not.

    Raises:
        ClipError: It is shown aslant, or with pixels of an impossible shape.
    """
    shape = float(aspect) if aspect else 1.0
    if not 1 / _WIDEST <= shape <= _WIDEST:
        raise unreadable_error("video", f"pixels {shape:.3g} times as wide as high")
    turns, mirrored = _read_matrix(frame)
    return Geometry(turns, mirrored, shape if abs(shape - 1) > _SQUARE else 1.0)


def _read_matrix(frame: VideoFrame) -> tuple[int, bool]:
    """Quarter turns against the clock and whether it is mirrored first, by the frame's display matrix."""
    try:
        stored = bytes(cast(Mapping[str, Buffer], frame.side_data)["DISPLAYMATRIX"])
    except KeyError:
        return 0, False
    except ValueError:  # beside data of a kind that PyAV has no name for, only the rotation can be asked for
        found: tuple[float, ...] = _ROTATED.get(frame.rotation % 360, ())
    else:
        found = tuple(round(number / _UNIT, 3) for number in np.frombuffer(stored, np.int32)[[0, 1, 3, 4]].tolist())
    if found not in _TURNS:
        raise unreadable_error("video", "a picture that is shown aslant")
    return _TURNS[found]


_TURNS: dict[tuple[float, ...], tuple[int, bool]] = {
    (1, 0, 0, 1): (0, False),
    (0, -1, 1, 0): (1, False),
    (-1, 0, 0, -1): (2, False),
    (0, 1, -1, 0): (3, False),
    (-1, 0, 0, 1): (0, True),
    (0, -1, -1, 0): (3, True),
    (1, 0, 0, -1): (2, True),
    (0, 1, 1, 0): (1, True),
}
"""a, b, c, d of (x, y) -> (a x + c y, b x + d y), y down -> quarter turns against the clock, mirrored before."""
_ROTATED = {90 * turns: matrix for matrix, (turns, mirrored) in _TURNS.items() if not mirrored}
