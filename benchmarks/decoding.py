"""Decoding a file alone: the shortest loops that yield every frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import iter_pixels


def decode(path: Path, way: str) -> str:
    """Decodes a file in one of its ways; the way."""
    decoders(path)[way]()
    return way


def decoders(path: Path) -> dict[str, Callable[[], object]]:
    """The ways of decoding a file and doing nothing with it, PyAV's own last, by one thread."""
    if path.suffix != ".dcm":
        return {"av": partial(_read, path)}
    ways = {"pydicom.iter_pixels": partial(_iterate, path), "cv2.imdecode": partial(_decode, path)}
    return {**ways, "av": partial(_decode_jpegs, path)}


def _read(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass


def _decode_jpegs(path: Path) -> None:
    data, decoder = pydicom.dcmread(path), av.CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1
    for frame in generate_frames(data.PixelData, number_of_frames=int(data.NumberOfFrames)):
        decoder.decode(av.Packet(frame))


def _iterate(path: Path) -> None:
    for _ in iter_pixels(path):
        pass


def _decode(path: Path) -> None:
    data = pydicom.dcmread(path)
    for frame in generate_frames(data.PixelData, number_of_frames=int(data.NumberOfFrames)):
        cv2.imdecode(np.frombuffer(frame, dtype=np.uint8), cv2.IMREAD_COLOR)
