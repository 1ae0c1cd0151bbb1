"""AVI and MP4: frames are counted by reading them, because the container's count lies (1426 stated, 713 there)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from client.recording import F64, RATE_REMEDY, U8, ClipError, Recording, Region, constant_rate, unreadable

# FFmpeg prints what it dislikes about a file, with the file's name; names may hold a patient's.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_MAX_RATE_HZ = 1000.0


def open(path: Path) -> Recording:
    """Opens a video file. Raises ClipError for what is missing or no video."""
    if not path.is_file():
        raise ClipError(
            "missing-clip",
            "every clip of the table can be opened",
            "no such file",
            "put the file where the clips column says, or correct the cell",
        )
    capture = _capture(path)
    taken, picture = capture.read()
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    if not taken or picture is None:
        raise unreadable("video", "no frame that can be decoded")
    return _Video(path, picture.shape[0], picture.shape[1], rate)


def _rgb(picture: npt.NDArray[Any]) -> U8:
    """A view (h w 3) in RGB of what OpenCV gives as BGR."""
    return cast(U8, picture[:, :, ::-1])


def _capture(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise unreadable("video", "a container or codec that cannot be opened")
    return capture


@dataclass
class _Video:
    """One video file. Its time stamps are known after `pictures` or `length` went through it."""

    path: Path
    rows: int
    columns: int
    rate_hz: float
    manufacturer: str = ""
    regions: tuple[Region, ...] = ()
    stamps_ms: list[float] = field(default_factory=list, repr=False)

    def glance(self) -> Sequence[U8]:
        """The first picture, and one where the container claims the middle to be (each jump costs a group)."""
        capture = _capture(self.path)
        claimed = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        pictures = []
        for index in (0, max(0, claimed // 2)):
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            taken, picture = capture.read()
            if taken:
                pictures.append(_rgb(picture))
        capture.release()
        return pictures or [next(self.pictures())]

    def pictures(self) -> Iterator[U8]:
        capture = _capture(self.path)
        stamps: list[float] = []
        while True:
            taken, picture = capture.read()
            if not taken:
                break
            stamps.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)))
            yield _rgb(picture)
        capture.release()
        self.stamps_ms = stamps

    def length(self) -> int:
        capture = _capture(self.path)
        stamps: list[float] = []
        while capture.grab():
            stamps.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)))
        capture.release()
        self.stamps_ms = stamps
        return len(stamps)

    def seconds(self, frames: int, frame_rate_hz: float | None) -> F64:
        """The manifest first (exports may play faster than the examination), then time stamps, then the rate."""
        if frame_rate_hz is not None:
            return constant_rate(frames, frame_rate_hz)
        stamps = np.array(self.stamps_ms, dtype=np.float64) / 1000.0
        if len(stamps) == frames > 1 and bool((np.diff(stamps) > 0).all()):
            return np.asarray(stamps - stamps[0], dtype=np.float64)
        if not 0.0 < self.rate_hz <= _MAX_RATE_HZ:
            raise ClipError("no-frame-times", "a clip states the times of its frames", "no usable rate", RATE_REMEDY)
        return constant_rate(frames, self.rate_hz)
