"""Tell pictures of HEVC of which the decoder left a part unwritten, by what stood in their memory before.

FFmpeg's HEVC decoder takes a picture whose damaged data end early for whole, and shows in the rest of it what its
memory held: an older picture. The memory is zero at first; before it goes back to the decoder its chroma is set to
zero here. U and V that are zero together are no colour (red and blue would be negative), so no picture that was written
has them. The decoders of the other codecs in `decoder.CODECS` notice what they lack, shown by a test that fills their
memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from client.data.imaging.recording import unreadable_error

_HELD = 17
"""Pictures that a stream may refer to at most (16, H.265 A.4.2), and the one that is shown."""
_SMALLEST = 16
"""Samples of chroma in the smallest block that is coded."""


def refuse_unwritten(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The same frames, each of which is done with when the next one is asked for. Raises ClipError."""
    held: deque[VideoFrame] = deque()
    for frame in frames:
        chroma = _view_chroma(frame)
        both = cv2.bitwise_or(*chroma)
        if both.size - cv2.countNonZero(both) >= _SMALLEST:
            raise unreadable_error("video", "a picture of which a part is missing")
        yield frame
        held.append(frame)
        if len(held) > _HELD:
            _clear(held.popleft())


def _view_chroma(frame: VideoFrame) -> list[npt.NDArray[Any]]:
    """U and V (h w), in the decoder's memory."""
    if len(frame.planes) < 3 or frame.format.is_rgb:
        raise unreadable_error("video", "HEVC without chroma, of which damage cannot be told")
    kind = np.dtype(np.uint8 if frame.format.components[1].bits <= 8 else np.uint16)
    planes = frame.planes[1:3]
    return [np.frombuffer(memoryview(one), kind).reshape(one.height, -1)[:, : one.width] for one in planes]


def _clear(frame: VideoFrame) -> None:
    """Sets the chroma of a frame to zero, which nothing else refers to any more."""
    places = [plane.buffer_ptr for plane in frame.planes]
    frame.make_writable()  # a copy, where something does
    if [plane.buffer_ptr for plane in frame.planes] != places:
        raise unreadable_error("video", f"pictures that others refer to after more than {_HELD}")
    for plane in _view_chroma(frame):
        plane[:] = 0
