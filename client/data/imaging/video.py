"""AVI, MP4, WMV: frames are counted by reading them, the container's count may be wrong (1426 stated, 713 read)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from client.data.imaging.recording import (
    F64,
    MAX_PIXELS,
    U8,
    Region,
    Times,
    check_size,
    constant_rate,
    no_such_file,
    no_times,
    spread,
    unreadable,
)
from client.data.imaging.truncation import missing_share

# FFmpeg prints warnings with the file's name, which may hold a patient's name.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", f"max_pixels;{MAX_PIXELS}")

_MAX_RATE_HZ = 1000.0
_MISSING = 0.02
"""Share of a file that may be missing as long as every stated frame is there: an index, a byte too few."""
_JUMP = 24
"""Frames that OpenCV decodes to jump to one; a pass over so many is as quick."""


def open(path: Path) -> Video:
    """Opens a video file. Raises ClipError for what is missing or no video."""
    if not path.is_file():
        raise no_such_file()
    capture = _capture(path)
    taken, picture = capture.read()
    rate, stated = float(capture.get(cv2.CAP_PROP_FPS)), float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    if not taken or picture is None:
        raise unreadable("video", "no frame that can be decoded")
    check_size("video", *picture.shape[:2])
    missing = missing_share(path)
    if missing > _MISSING:
        raise unreadable("video", f"a file that is cut off: {missing:.0%} of it is missing")
    expected = int(stated) if missing > 0 and 0 < stated < 1e9 else 0
    return Video(path, picture.shape[0], picture.shape[1], rate, expected)


def _rgb(picture: npt.NDArray[Any]) -> U8:
    """A view (h w 3) in RGB of what OpenCV gives as BGR."""
    return cast(U8, picture[:, :, ::-1])


def _capture(path: Path) -> cv2.VideoCapture:
    # FFmpeg alone: OpenCV's other readers print bytes of the file, and take names with digits for series of pictures;
    # by one thread: every core has a worker, and handing frames from thread to thread is an eighth of decoding
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        raise unreadable("video", "a container or codec that cannot be opened")
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS:
        capture.release()
        check_size("video", height, width)
    return capture


@dataclass
class Video:
    """One video file. Its time stamps are known after `pictures` or `length` went through it.

    expected: the frames that it states, where the file ends before its container does, else 0.
    """

    path: Path = field(repr=False)
    rows: int
    columns: int
    rate_hz: float
    expected: int
    manufacturer: str = ""
    regions: tuple[Region, ...] = ()
    stamps_ms: list[float] = field(default_factory=list, repr=False)

    def glance(self, count: int) -> Sequence[U8]:
        """Pictures from where the container claims them to be; where it claims too many, from a pass over the file."""
        capture = _capture(self.path)
        claimed = int(min(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0.0), 1e9))
        capture.release()
        indices = spread(claimed or self.length(), count)
        pictures = self._picked(indices) if claimed > _JUMP * count else self._stepped(indices)
        return pictures if 2 * len(pictures) > len(indices) else self._stepped(spread(self.length(), count))

    def _picked(self, indices: Sequence[int]) -> list[U8]:
        """The pictures that a jump to these indices finds."""
        capture, pictures = _capture(self.path), []
        for index in indices:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            taken, picture = capture.read()
            if taken and picture.shape[:2] == (self.rows, self.columns):
                pictures.append(_rgb(picture))
        capture.release()
        return pictures

    def _stepped(self, indices: Sequence[int]) -> list[U8]:
        """The pictures of these indices, by going through the file."""
        capture, pictures, wanted = _capture(self.path), [], set(indices)
        for index in range(max(indices, default=0) + 1):
            if not capture.grab():
                break
            if index in wanted:
                pictures.append(_rgb(capture.retrieve()[1]))
        capture.release()
        return [picture for picture in pictures if picture.shape[:2] == (self.rows, self.columns)]

    def pictures(self) -> Iterator[U8]:
        """All pictures in order. Raises ClipError at the end of a file that was cut off."""
        capture = _capture(self.path)
        stamps: list[float] = []
        while True:
            taken, picture = capture.read()
            if not taken:
                break
            stamps.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)))
            yield _rgb(picture)
        capture.release()
        self._keep(stamps)

    def length(self) -> int:
        """The number of frames, by going through them."""
        capture = _capture(self.path)
        stamps: list[float] = []
        while capture.grab():
            stamps.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)))
        capture.release()
        self._keep(stamps)
        return len(stamps)

    def stamps(self, frames: int) -> F64 | None:
        """The container's own times (t) of so many frames, s, from the first one; None where they do not rise."""
        stamps = np.array(self.stamps_ms, dtype=np.float64) / 1000.0
        if len(stamps) != frames or frames < 2:
            return None
        if frames > 2 and stamps[-1] == 0.0:  # seen in WMV: the last frame has no stamp
            stamps[-1] = stamps[-2] + float(np.median(np.diff(stamps[:-1])))
        return np.asarray(stamps - stamps[0], dtype=np.float64) if bool((np.diff(stamps) > 0).all()) else None

    def times(self, frames: int, frame_rate_hz: float | None) -> Times:
        """The manifest first (exports may play faster than the examination), then time stamps, then the rate."""
        if frame_rate_hz is not None:
            return constant_rate(frames, frame_rate_hz, "manifest")
        stamps = self.stamps(frames)
        if stamps is not None:
            return Times(stamps, "container")
        if not 0.0 < self.rate_hz <= _MAX_RATE_HZ:
            raise no_times("no usable rate")
        return constant_rate(frames, self.rate_hz, "container")

    def _keep(self, stamps: list[float]) -> None:
        if len(stamps) < self.expected:
            raise unreadable("video", f"a file that is cut off: {len(stamps)} of {self.expected} frames")
        self.stamps_ms = stamps
