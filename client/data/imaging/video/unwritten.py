"""Tell pictures of which the decoder left a part unwritten, by what stood in their memory before.

FFmpeg's decoders of HEVC and MPEG-2 take some pictures whose damaged data end early for whole, and show in the rest of
them what their memory held: an older picture. The memory is zero at first; before it goes back to the decoder its
chroma is set to zero here. U and V that are zero together are no colour (red and blue would be negative), so no picture
that was written has them.
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

_FEW, _MANY = (6, 0), (17, 24 << 20)
"""How many pictures wait until none that follows can refer to them, and bytes of luma that more may fill: a picture and
those between two references; 16 (H.265 A.4.2) and the shown one."""
GUARDED = {
    **dict.fromkeys(("mpeg1video", "mpeg2video", "mpeg4", "h263"), _FEW),
    **dict.fromkeys(("msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1"), _FEW),
    "hevc": _MANY,
}
"""FFmpeg's names of the decoders that may leave a part unwritten, and how long their pictures wait."""
_MOST = 64
_SMALLEST = 16
"""Samples of chroma in the smallest block that is coded."""


def refuse_unwritten(frames: Iterator[VideoFrame], codec: str) -> Iterator[VideoFrame]:
    """The same frames, each of which is done with when the next one is asked for.

    codec: one of GUARDED. Raises ClipError.
    """
    least, most_bytes = GUARDED[codec]
    held: deque[VideoFrame] = deque()
    for frame in frames:
        chroma = _view_chroma(frame)
        both = cv2.bitwise_or(*chroma)
        if both.size - cv2.countNonZero(both) >= _SMALLEST:
            raise unreadable_error("video", "a picture of which a part is missing")
        yield frame
        held.append(frame)
        if len(held) > least and len(held) > min(_MOST, most_bytes // (frame.width * frame.height)):
            _clear(held.popleft())


def _view_chroma(frame: VideoFrame) -> list[npt.NDArray[Any]]:
    """U and V (h w), in the decoder's memory."""
    if len(frame.planes) < 3 or frame.format.is_rgb:
        raise unreadable_error("video", "a grey picture of a codec whose damage shows in chroma")
    kind = np.dtype(np.uint8 if frame.format.components[1].bits <= 8 else np.uint16)
    planes = frame.planes[1:3]
    return [np.frombuffer(memoryview(one), kind).reshape(one.height, -1)[:, : one.width] for one in planes]


def _clear(frame: VideoFrame) -> None:
    """Sets the chroma of a frame to zero, unless the decoder still refers to it: then it is a copy that is cleared."""
    frame.make_writable()
    for plane in _view_chroma(frame):
        plane[:] = 0
