"""Store the frames of a pane in an unnamed temporary file, so memory does not grow with the length of a clip.

The file has no name and is removed when the process ends for any reason. Reading it back takes a hundredth of the time
of decoding; a memory map would count as memory of the worker.
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import SupportsIndex, overload

import cv2
import numpy as np
import numpy.typing as npt

from ceus_models.runtime.atomic_files import TEMPORARY_PREFIX
from client.data.imaging.recording import F64, U8, Box, ClipError

_MOST_BYTES = 8 << 30
"""Of one pane: 20 minutes of 600 x 600 at 20 Hz. A small file of empty frames can ask for any room."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_KEPT = 2
_KEPT_BYTES = 1 << 30
"""A file whose pane is done with is written over by the next clip, since getting fresh pages costs more than filling
them. So many of them are kept, in the folder that was used last, and none that is larger."""
_free: defaultdict[Path | None, list[int]] = defaultdict(list)
"""Descriptors of files that nobody uses, by folder."""


def check_pane_bytes(frames: int, rows: int, columns: int) -> None:
    """Raises ClipError for a pane that is too large to be stored."""
    if frames * rows * columns > _MOST_BYTES:
        raise ClipError(
            "clip-too-long",
            f"a pane of a clip has less than {_MOST_BYTES >> 20} MiB",
            f"{frames} frames of {columns} x {rows}",
            "split the clip into several files",
        )


class FrameFile:
    """The frames u8 (h w) of one pane on disk, in order of time. The file is freed with the last reference.

    means: the mean level of each frame, taken while it is at hand.
    """

    def __init__(self, rows: int, columns: int, folder: Path | None) -> None:
        """folder: where the file lies, None = the system's folder for temporary files."""
        self._file = _open_unnamed(folder)
        weakref.finalize(self, _release, folder, self._file)
        self.rows, self.columns = rows, columns
        self.means: list[float] = []

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.means)

    def add(self, frame: U8) -> None:
        """One more frame. Raises ClipError where the clip is too long or the disk is full."""
        check_pane_bytes(self.frames + 1, self.rows, self.columns)
        self._write(frame, self.frames)
        self.means.append(_compute_mean(frame))

    def apply_mask(self, mask: npt.NDArray[np.bool_]) -> None:
        """Sets every frame to level 0 where the mask (h w) is not."""
        kept = np.where(mask, np.uint8(255), np.uint8(0))
        for number in range(self.frames if not mask.all() else 0):
            frame = np.bitwise_and(self.read(number, 0, self.rows), kept)
            self._write(frame, number)
            self.means[number] = _compute_mean(frame)

    def read(self, number: int, first: int, after: int) -> U8:
        """Rows from `first` up to `after` of a frame."""
        part = np.empty((after - first, self.columns), dtype=np.uint8)
        if os.preadv(self._file, [part.data], (number * self.rows + first) * self.columns) != part.nbytes:
            raise OSError(errno.EIO, "a frame cannot be read back")
        return part

    def _write(self, frame: U8, number: int) -> None:
        try:
            written = os.pwrite(self._file, np.ascontiguousarray(frame).data, number * frame.size)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            written = 0
        if written != frame.size:
            raise ClipError(
                "disk-full",
                "the disk of the site's work folder has room for the panes of a clip",
                f"no room after {number} frames of {self.columns} x {self.rows}",
                "make room there, or name a folder on a larger disk as work in site.yaml",
            )

    def to_frames(self) -> Frames:
        """Its frames so far, whole."""
        places = np.stack([np.zeros(self.frames, np.int64), np.arange(self.frames)], axis=1)
        return Frames((self,), places, (0, 0, self.columns, self.rows))


def _compute_mean(frame: U8) -> float:
    """To the last bit what cv2.mean gives, in a third of its time."""
    return cv2.sumElems(frame)[0] * (1.0 / frame.size)


def _open_unnamed(folder: Path | None) -> int:
    """Take a free unnamed file of the folder, or create one."""
    with suppress(IndexError):
        return _free[folder].pop()
    for other in [place for place in _free if place != folder]:  # whoever reads many hospitals keeps the files of one
        for file in _free.pop(other, []):
            os.close(file)
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # a file system without unnamed files shows this name for a moment
    with tempfile.TemporaryFile(prefix=TEMPORARY_PREFIX, dir=folder, buffering=0) as unnamed:
        return os.dup(unnamed.fileno())


def _release(folder: Path | None, file: int) -> None:
    if len(_free[folder]) < _KEPT and os.fstat(file).st_size <= _KEPT_BYTES:
        _free[folder].append(file)
    else:
        os.close(file)


@dataclass(frozen=True, eq=False)
class Frames(Sequence[U8]):
    """Frames u8 (h w), each read on access. Read only: a change to a frame is lost.

    Attributes:
        tapes: The files that hold the frames.
        places: i64 (t 2), the number of the tape, and of the frame on it.
        part: The visible part of the panes, x0, y0, x1, y1.
    """

    tapes: tuple[FrameFile, ...]
    places: npt.NDArray[np.int64]
    part: Box

    @property
    def shape(self) -> tuple[int, int, int]:
        """(t h w)."""
        x0, y0, x1, y1 = self.part
        return len(self.places), y1 - y0, x1 - x0

    @property
    def means(self) -> F64:
        """Mean level (t) of each whole frame, also where a part of it is shown."""
        return np.array([self.tapes[tape].means[number] for tape, number in self.places.tolist()], dtype=np.float64)

    def __len__(self) -> int:
        """Frames."""
        return len(self.places)

    @overload
    def __getitem__(self, index: SupportsIndex) -> U8: ...
    @overload
    def __getitem__(self, index: slice) -> Frames: ...
    def __getitem__(self, index: SupportsIndex | slice) -> U8 | Frames:
        """One frame, or some of them unread."""
        if isinstance(index, slice):
            return replace(self, places=self.places[index])
        tape, number = self.places[index].tolist()
        x0, y0, x1, y1 = self.part
        frame: U8 = self.tapes[tape].read(number, y0, y1)[:, x0:x1]
        return frame

    def select(self, index: npt.NDArray[np.intp]) -> Frames:
        """The frames of these indices, in their order."""
        return replace(self, places=self.places[index])

    def crop(self, part: Box) -> Frames:
        """The same frames, of each a part: x0, y0, x1, y1, inside."""
        left, top = self.part[:2]
        return replace(self, part=(left + part[0], top + part[1], left + part[2], top + part[3]))


def chain_frames(runs: Iterable[Frames]) -> Frames:
    """The frames of several clips as one sequence. All have one size."""
    tapes: list[FrameFile] = []
    places = [np.zeros((0, 2), np.int64)]
    part: Box = (0, 0, 0, 0)
    for frames in runs:
        places.append(frames.places + np.array([len(tapes), 0]))
        tapes += frames.tapes
        part = frames.part
    return Frames(tuple(tapes), np.concatenate(places), part)
