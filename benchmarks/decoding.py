"""Decoding a file alone: the shortest loops that yield every frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

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
    """The ways of decoding a file and doing nothing with it, the fastest last."""
    if path.suffix != ".dcm":
        return {"cv2.VideoCapture": partial(_read, path)}
    return {"pydicom.iter_pixels": partial(_iterate, path), "cv2.imdecode": partial(_decode, path)}


def _read(path: Path) -> None:
    capture = cv2.VideoCapture(str(path))
    while capture.read()[0]:
        pass
    capture.release()


def _iterate(path: Path) -> None:
    for _ in iter_pixels(path):
        pass


def _decode(path: Path) -> None:
    data = pydicom.dcmread(path)
    for frame in generate_frames(data.PixelData, number_of_frames=int(data.NumberOfFrames)):
        cv2.imdecode(np.frombuffer(frame, dtype=np.uint8), cv2.IMREAD_COLOR)
