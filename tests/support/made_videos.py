"""Small videos of every codec that a hospital may bring, and what becomes of them when bytes are changed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags
from made_clips import moving_disc

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Form:
    """How a video is encoded.

    Attributes:
        fields: The field that is shown first, tff or bff, where it is coded as interlaced.
        aspect: Width of a pixel over its height.
        stamps: Times of the frames in ticks of 1/1000 s; even ones where there are none.
    """

    codec: str
    pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    fields: str = ""
    aspect: Fraction | None = None
    rate: int = 10
    stamps: Sequence[int] = ()
    range: int = 0
    matrix: int = 2


FORMS: Mapping[str, Form] = {
    "mjpeg.avi": Form("mjpeg", "yuvj420p"),
    "mjpeg422.avi": Form("mjpeg", "yuvj422p"),
    "mpeg4.mp4": Form("mpeg4"),
    "xvid.avi": Form("mpeg4", options={"bf": "2"}),
    "msmpeg4.avi": Form("msmpeg4", options={"qmax": "4"}),
    "wmv2.wmv": Form("wmv2"),
    "h264.mp4": Form("libx264"),
    "h264.avi": Form("libx264", options={"bf": "0"}),
    "h264intra.mov": Form("libx264", options={"g": "1"}),
    "hevc.mp4": Form("libx265", options={"x265-params": "log-level=none"}),
    "hevc10.mp4": Form("libx265", "yuv420p10le", options={"x265-params": "log-level=none"}),
    "mpeg2.avi": Form("mpeg2video", rate=25),
    "mpeg2open.avi": Form("mpeg2video", options={"bf": "2", "g": "6"}, rate=25),
    "fields2.avi": Form("mpeg2video", fields="bff", rate=25),
    "fields264.mp4": Form("libx264", fields="tff"),
    "mpeg1.avi": Form("mpeg1video", rate=25),
    "msmpeg4v2.avi": Form("msmpeg4v2", options={"qmax": "4"}),
    "wmv1.wmv": Form("wmv1"),
    "h263.avi": Form("h263p"),
    "raw.avi": Form("rawvideo", "bgr24"),
    "rawyuv.avi": Form("rawvideo", "yuyv422"),
    "png.avi": Form("png", "rgb24"),
    "huffyuv.avi": Form("huffyuv", "yuv422p"),
    "ffvhuff.avi": Form("ffvhuff", "yuv420p"),
    "utvideo.avi": Form("utvideo", "yuv420p"),
    "prores.mov": Form("prores_ks", "yuv422p10le"),
}
"""File name -> its form."""
REFUSED: Mapping[str, Form] = {
    "cinepak.avi": Form("cinepak", "rgb24"),
    "msvideo.avi": Form("msvideo1", "rgb555le"),
    "rle.mov": Form("qtrle", "rgb24"),
    "ffv1.avi": Form("ffv1", "yuv444p"),
    "jpeg2000.avi": Form("jpeg2000"),
}
"""Of codecs whose decoders show memory that they did not write."""


def write_film(path: Path, pictures: U8, form: Form) -> Path:
    """Encodes pictures RGB (t h w 3)."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(form.codec, rate=form.rate, options=dict(form.options))
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = form.pixels
        stream.codec_context.color_range, stream.codec_context.colorspace = form.range, form.matrix
        stream.codec_context.thread_count = 1
        if form.aspect:
            stream.codec_context.sample_aspect_ratio = form.aspect
        if form.fields:
            stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        if form.stamps:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(pictures):
            frame: Any = av.VideoFrame.from_ndarray(picture, "rgb24")
            shown = {"src_color_range": "JPEG", "dst_color_range": form.range or None, "dst_colorspace": form.matrix}
            frame = frame.reformat(format=form.pixels, **shown)
            frame = _mark_fields(frame, number, form) if form.fields else frame
            if form.stamps:
                frame.pts, frame.time_base = form.stamps[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _mark_fields(frame: av.VideoFrame, number: int, form: Form) -> av.VideoFrame:
    """The frame with a flag that only a filter can set."""
    graph, ticks = av.filter.Graph(), Fraction(1, form.rate)
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=ticks)
    graph.link_nodes(source, graph.add("setfield", form.fields), graph.add("buffersink")).configure()
    frame.pts, frame.time_base = number, ticks
    graph.vpush(frame)
    return graph.vpull()


def films(folder: Path, frames: int = 12) -> list[Path]:
    """A video of each form, all of the same disc that moves."""
    return [write_film(folder / name, moving_disc(frames), form) for name, form in FORMS.items()]


def spoil(content: bytes, draw: random.Random) -> bytes:
    """Bytes changed, cut out, doubled, zeroed or cut off, anywhere in a file."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at, kind = draw.randrange(max(1, len(changed))), draw.randrange(6)
        if kind == 0:
            changed[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            changed[at : at + 64] = bytes(len(changed[at : at + 64]))
        elif kind == 2:
            del changed[at : at + draw.randrange(1, 200)]
        elif kind == 3:
            changed[at:at] = changed[at : at + draw.randrange(1, 200)]
        elif kind == 4:
            changed[at : at + 16] = draw.randbytes(len(changed[at : at + 16]))
        elif draw.random() < 0.5:
            del changed[at:]
    return bytes(changed)
