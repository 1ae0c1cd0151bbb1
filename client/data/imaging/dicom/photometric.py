"""Convert DICOM samples to RGB u8 by their photometric interpretation (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from client.data.imaging.recording import U8, unreadable

Samples = npt.NDArray[Any]
Convert = Callable[[Samples], U8]

_YBR = ("YBR_FULL", "YBR_FULL_422")
_RGB = ("RGB", "YBR_RCT", "YBR_ICT", *_YBR)
"""The last two may arrive in RGB: a JPEG codec has turned them already, and a second turn would tint them green."""


def photometric(header: Dataset) -> str:
    """The photometric interpretation as the header spells it, trimmed."""
    return str(header.get("PhotometricInterpretation") or "").strip().upper()


def converter(header: Dataset, turned: bool) -> Convert:
    """From samples u8 or u16, (h w) or (h w 3), to RGB. turned: whether the codec has made RGB of YBR itself.

    Raises ClipError for a photometric interpretation that is not supported.
    """
    kind = photometric(header)
    bits, signed = int(header.get("BitsStored") or 8), header.get("PixelRepresentation") == 1
    if kind == "PALETTE COLOR":
        return _palette(header)
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        return lambda samples: _grey(samples, bits, signed, kind == "MONOCHROME1")
    if kind not in _RGB:
        raise unreadable("DICOM", "colours of a kind that no ultrasound scanner writes")
    turn = kind in _YBR and not turned
    return lambda samples: _ybr_to_rgb(_colours(samples, bits)) if turn else _colours(samples, bits)


def _colours(samples: Samples, bits: int) -> U8:
    if samples.ndim != 3 or samples.shape[2] != 3:
        raise unreadable("DICOM", "colours that are not three channels")
    return samples if samples.dtype == np.uint8 else (samples >> max(0, bits - 8)).astype(np.uint8)


def _grey(samples: Samples, bits: int, signed: bool, inverted: bool) -> U8:
    if samples.ndim != 2:
        raise unreadable("DICOM", "grey levels with several channels")
    if samples.dtype != np.uint8 or bits < 8 or signed:
        half = 1 << (bits - 1) if signed else 0
        whole = (samples.astype(np.int64) + half) & ((1 << bits) - 1)
        samples = (whole >> (bits - 8) if bits >= 8 else whole << (8 - bits)).astype(np.uint8)
    levels = np.asarray(255 - samples if inverted else samples, dtype=np.uint8)
    return np.broadcast_to(levels[:, :, None], (*levels.shape, 3))


def _ybr_to_rgb(ybr: U8) -> U8:
    """PS3.3 C.7.6.3.1.2: exact to the level, since every product is rounded once, in a table."""
    luma, blue, red = (ybr[:, :, channel].astype(np.int16) for channel in range(3))
    green = _GREEN[ybr[:, :, 1], ybr[:, :, 2]]
    rgb = np.stack([luma + _RED_OF_RED[red], luma + green, luma + _BLUE_OF_BLUE[blue]], axis=-1)
    return np.asarray(rgb.clip(0, 255), dtype=np.uint8)


_CHROMA = np.arange(256) - 128.0
_RED_OF_RED = np.rint(1.402 * _CHROMA).astype(np.int16)
_BLUE_OF_BLUE = np.rint(1.772 * _CHROMA).astype(np.int16)
_GREEN = np.rint(-(0.114 * 1.772 * _CHROMA[:, None] + 0.299 * 1.402 * _CHROMA[None, :]) / 0.587).astype(np.int16)


def _palette(header: Dataset) -> Convert:
    indices = np.arange(1 << (8 if int(header.get("BitsAllocated") or 8) == 8 else 16))
    try:
        table = apply_color_lut(indices.astype(np.uint8 if len(indices) == 256 else np.uint16), header)
    except Exception:  # pydicom raises any type on a damaged palette; no text of it may pass
        raise unreadable("DICOM", "a palette image without a usable palette") from None
    if table.dtype != np.uint8:
        # 16-bit tables hold the colour in the high byte; some makers left it in the low one.
        table = (table >> (8 if table.max() > 255 else 0)).astype(np.uint8)
    table = np.ascontiguousarray(table[:, :3])

    def coloured(samples: Samples) -> U8:
        if samples.ndim != 2:
            raise unreadable("DICOM", "a palette image with several channels")
        return np.asarray(np.take(table, samples, axis=0), dtype=np.uint8)

    return coloured
