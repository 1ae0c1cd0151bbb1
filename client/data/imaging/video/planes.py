"""From the planes of a decoded frame to levels of panes, or to a whole picture in RGB.

A grey pane is its luma, and the telling channel of a tint needs one plane of chroma at most, so neither takes the way
over RGB. Chroma of less resolution than luma stands for all the pixels that it was taken from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import av.video.reformatter
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from client.data.imaging.recording import U8, Box, unreadable_error
from client.data.imaging.tint import Tint, invert
from client.data.imaging.video.colours import Colours
from client.data.imaging.video.decoder import DECODING_ERRORS

_PLANAR = {"gray", "yuva420p", "yuva422p", "yuva444p"} | {
    f"{kind}{sampling}p" for kind in ("yuv", "yuvj") for sampling in (410, 411, 420, 422, 440, 444)
}
_AS_PLANAR = {
    **dict.fromkeys(("nv12", "nv21", "p010le", "yuv420p10le", "yuv420p12le"), "yuv420p"),
    **dict.fromkeys(("yuyv422", "uyvy422", "yvyu422", "nv16", "yuv422p10le", "yuv422p12le"), "yuv422p"),
    **dict.fromkeys(("gray10le", "gray12le", "gray16le"), "gray"),
}
"""Formats whose samples only have to be put elsewhere, or lose bits that a level has not."""
RED, GREEN = 0, 1


def split_planes(frame: VideoFrame) -> VideoFrame:
    """The frame in 8-bit planes of luma and chroma, or in RGB. Raises ClipError where it cannot be converted.

    FFmpeg's scaler says when it fails, and then nothing of what it made is used.
    """
    name = frame.format.name
    if name in _PLANAR or name == "rgb24":
        return frame
    wanted = _AS_PLANAR.get(name, "rgb24" if _is_rgb(frame) else "yuv444p")
    try:
        made = av.video.reformatter.VideoReformatter().reformat(frame, format=wanted, threads=1)
    except DECODING_ERRORS as error:
        raise unreadable_error("video", f"pixels that cannot be converted ({type(error).__name__})") from None
    if made.format.name != wanted or (made.width, made.height) != (frame.width, frame.height):
        raise unreadable_error("video", "pixels that were not converted")
    return made


def _is_rgb(frame: VideoFrame) -> bool:
    return bool(frame.format.is_rgb or frame.format.has_palette)


def is_planar(frame: VideoFrame) -> bool:
    """Whether a frame of `split_planes` has luma and chroma."""
    return frame.format.name != "rgb24"


def view_planes(frame: VideoFrame) -> list[U8]:
    """Luma, and U and V where there are any, (h w) each, in the decoder's memory: gone with the frame."""
    return [_view(plane, 1) for plane in frame.planes[:3]]


def _view(plane: VideoPlane, channels: int) -> U8:
    stored: U8 = np.frombuffer(memoryview(plane), np.uint8)
    return arrange(stored, plane.height, plane.width * channels, plane.line_size)


def arrange(stored: U8, rows: int, columns: int, stride: int) -> U8:
    """A plane (h w) of bytes in memory. stride: from row to row, below 0 for pictures stored from the bottom up."""
    plane = stored.reshape(rows, abs(stride))[:, :columns]
    return plane if stride > 0 else plane[::-1]


def make_rgb(frame: VideoFrame, colours: Colours | None, part: Box | None = None) -> U8:
    """The picture RGB (h w 3) of a frame of `split_planes`.

    Args:
        colours: None for a frame that is RGB.
        part: What of it is made, None for all.
    """
    x0, y0, x1, y1 = box = part or (0, 0, frame.width, frame.height)
    if colours is None:
        return _view(frame.planes[0], 3).reshape(frame.height, frame.width, 3)[y0:y1, x0:x1].copy()
    planes = view_planes(frame)
    channels = [ChannelReader(box, channel, colours, planes).read(planes).copy() for channel in range(3)]
    return cast(U8, cv2.merge(channels))


class PaneReader:
    """Levels of one pane from the planes of frame after frame of one stream."""

    def __init__(self, box: Box, tint: Tint, colours: Colours, planes: Sequence[U8]) -> None:
        """planes: of any frame of the stream."""
        self._table = invert(tint)
        self._channel = ChannelReader(box, None if tint.grey else tint.channel, colours, planes)
        rows, columns = box[3] - box[1], box[2] - box[0]
        self._levels = np.empty((rows, columns), np.uint8)

    def read(self, planes: Sequence[U8]) -> U8:
        """Levels u8 (h w) of the pane, good until the next call."""
        values = self._channel.read(planes)
        return values if self._table is None else cast(U8, cv2.LUT(values, self._table, self._levels))


_TWICE = np.arange(256, dtype=np.uint16) * 257
"""A byte beside itself."""


@dataclass(frozen=True, slots=True)
class _Chroma:
    """The part of a plane of chroma that lies over a pane.

    Attributes:
        steps: Pixels of luma down and right that share one of chroma.
        inner: What of the part, spread over luma, is the pane.
    """

    part: tuple[slice, slice]
    steps: tuple[int, int]
    inner: tuple[slice, slice]

    @staticmethod
    def create(box: Box, luma: U8, chroma: U8) -> _Chroma:
        down, right = (-(-large // small) for large, small in zip(luma.shape, chroma.shape, strict=True))
        x0, y0, x1, y1 = box
        top, left = y0 // down, x0 // right
        part = slice(top, -(-y1 // down)), slice(left, -(-x1 // right))
        inner = slice(y0 - top * down, y1 - top * down), slice(x0 - left * right, x1 - left * right)
        return _Chroma(part, (down, right), inner)

    def spread(self, chroma: U8) -> U8:
        """The chroma of every pixel of the pane."""
        down, right = self.steps
        # twice is the usual step, and a table does it in a sixth of the time
        wide = np.asarray(cv2.LUT(chroma, _TWICE)).view(np.uint8) if right == 2 else np.repeat(chroma, right, axis=1)
        return np.repeat(wide, down, axis=0)[self.inner] if down > 1 else wide[self.inner]


class ChannelReader:
    """R, G, B or the grey level of a part of the picture, exact to the rounding of the last step."""

    def __init__(self, box: Box, channel: int | None, colours: Colours, planes: Sequence[U8]) -> None:
        """channel: 0 R, 1 G, 2 B, None for the level of grey. planes: of any frame of the stream."""
        x0, y0, x1, y1 = box
        self._part = slice(y0, y1), slice(x0, x1)
        self._colours, self._channel = colours, channel if len(planes) == 3 else None
        self._chroma = None if self._channel is None else _Chroma.create(box, planes[0], planes[1])
        self._levels = np.empty((y1 - y0, x1 - x0), np.uint8)
        scaled = np.arange(256) * colours.scale + colours.offset
        grey = np.rint(scaled).clip(0, 255).astype(np.uint8)
        self._grey = None if colours.scale == 1.0 else grey

    def read(self, planes: Sequence[U8]) -> U8:
        """Values u8 (h w), good until the next call and as long as the planes are."""
        luma, colours = planes[0][self._part], self._colours
        if self._chroma is None:
            return luma if self._grey is None else cast(U8, cv2.LUT(luma, self._grey, self._levels))
        if self._channel == GREEN:
            return self._read_green(luma, [self._chroma.spread(plane[self._chroma.part]) for plane in planes[1:]])
        place, weight = (2, colours.red) if self._channel == RED else (1, colours.blue)
        chroma, offset = self._chroma.spread(planes[place][self._chroma.part]), colours.offset - 128 * weight
        return cast(U8, cv2.addWeighted(luma, colours.scale, chroma, weight, offset, self._levels))

    def _read_green(self, luma: U8, chroma: Sequence[U8]) -> U8:
        weights = self._colours.green
        mixed = luma * np.float32(self._colours.scale) + np.float32(self._colours.offset - 128 * sum(weights))
        for plane, weight in zip(chroma, weights, strict=True):
            mixed += plane * np.float32(weight)
        return np.asarray(np.rint(mixed).clip(0, 255), dtype=np.uint8)
