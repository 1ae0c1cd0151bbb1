"""Small DICOM files and synthetic speckle for the tests of reading and processing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

F32 = npt.NDArray[np.float32]
NAME = "DOE^JANE"


def write_dicom(
    path: Path,
    pixels: npt.NDArray[Any] | Sequence[bytes],
    photometric: str,
    tags: Mapping[str, Any],
    syntax: str = ExplicitVRLittleEndian,
) -> Path:
    """pixels: native (t h w) or (t h w 3), or encoded frames with Rows, Columns and NumberOfFrames in tags."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.PatientName, data.PatientID, data.PatientBirthDate = NAME, "MRN-4711", "19501231"
    data.PhotometricInterpretation = photometric
    data.SamplesPerPixel = 1 if photometric.startswith(("MONO", "PAL")) else 3
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    if isinstance(pixels, np.ndarray):
        data.NumberOfFrames, data.Rows, data.Columns = (int(n) for n in pixels.shape[:3])
        bits = pixels.dtype.itemsize * 8
        data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
        data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    else:
        data.PixelData = encapsulate(list(pixels))
        data["PixelData"].is_undefined_length = True
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def region(box: Sequence[int], delta: float = 0.05, kind: int = 1, units: int = 3) -> Dataset:
    """An ultrasound region; box: x0 y0 x1 y1, x1 and y1 outside. delta in cm where units is 3."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, kind, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[0], box[1]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2] - 1, box[3] - 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta, -delta
    return item


def jpeg(rgb: npt.NDArray[np.uint8], quality: int = 95) -> bytes:
    """A baseline JPEG of a picture (h w 3) as scanners store it: YBR, no Adobe marker."""
    _, content = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return content.tobytes()


@dataclass(frozen=True)
class Speckle:
    """Two panes u8 (t h w), seconds (t), shift of the tissue (t 2) from the reference frame, lesion's circle."""

    bmode: npt.NDArray[np.uint8]
    contrast: npt.NDArray[np.uint8]
    seconds: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]
    reference: int
    polygon: npt.NDArray[np.float64]
    perfusion: npt.NDArray[np.float64]


def speckle_clip(seed: int, frames: int = 120, side: int = 128, amplitude: float = 7.0) -> Speckle:
    """A lesion of 20 px that breathes: still B-mode speckle, contrast speckle that refreshes at 0.72 from frame to
    frame with 25 % that stays, lognormal enhancement of the lesion with its peak at 14 s after arrival.
    """
    draw = np.random.default_rng(seed)
    pad = 32
    size = side + 2 * pad
    seconds = np.linspace(0, 48, frames)
    breath = amplitude * np.sin(np.pi * seconds / 4.1) ** 4
    shift = np.stack([0.4 * breath, 0.9 * breath], axis=1)
    reference = int(np.argmin(np.abs(seconds - 24)))
    y, x = np.mgrid[:size, :size]
    center = np.array([size / 2 - 4, size / 2 + 4])
    lesion = np.clip(20 - np.hypot(x - center[0], y - center[1]) + 0.5, 0, 1)
    after = np.clip(seconds - 8, 1e-3, None)
    perfusion = np.exp(-0.5 * (np.log(after / 14) / 0.6) ** 2)
    parenchyma = 0.7 * (1 - np.exp(-((np.clip(seconds - 14, 0, None) / 12) ** 2)))
    still, moving, rest = (_field(draw, size) for _ in range(3))
    panes: tuple[list[npt.NDArray[np.uint8]], list[npt.NDArray[np.uint8]]] = ([], [])
    for index in range(frames):
        moving = 0.72 * moving + np.sqrt(1 - 0.72**2) * _field(draw, size)
        power = parenchyma[index] * (1 - lesion) + perfusion[index] * lesion
        bubbles = (np.sqrt(0.75) * moving + 0.5 * rest) * np.sqrt(power)
        for pane, field, gain in zip(panes, (still * np.sqrt(1 - 0.5 * lesion), bubbles), (0.03, 0.05), strict=True):
            seen = _moved(field, shift[index], side, pad) + 0.02 * _field(draw, side)
            pane.append(to_levels(np.abs(seen) ** 2 * gain))
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = center - pad + shift[reference] + 20 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Speckle(
        np.stack(panes[0]), np.stack(panes[1]), seconds, shift - shift[reference], reference, ring, perfusion
    )


def to_levels(intensity: npt.NDArray[Any], range_db: float = 60.0) -> npt.NDArray[np.uint8]:
    """Log-compressed display of intensities 0-1."""
    decibels = 10 * np.log10(intensity + 1e-12)
    return np.rint(255 * np.clip((decibels + range_db) / range_db, 0, 1)).astype(np.uint8)


def _field(draw: np.random.Generator, size: int) -> npt.NDArray[np.complex64]:
    parts = [cv2.GaussianBlur(draw.standard_normal((size, size), dtype=np.float32), (0, 0), 1.4) for _ in range(2)]
    field = parts[0] + 1j * parts[1]
    return np.asarray(field / np.sqrt((np.abs(field) ** 2).mean()), dtype=np.complex64)


def _moved(field: npt.NDArray[Any], shift: npt.NDArray[np.float64], side: int, pad: int) -> npt.NDArray[np.complex128]:
    move = np.array([[1, 0, shift[0] - pad], [0, 1, shift[1] - pad]], dtype=np.float32)
    parts = [np.ascontiguousarray(part, dtype=np.float32) for part in (field.real, field.imag)]
    real, imaginary = (cv2.warpAffine(part, move, (side, side), flags=cv2.INTER_CUBIC) for part in parts)
    return np.asarray(real + 1j * imaginary)


def moving_disc(frames: int = 12, rows: int = 96, columns: int = 128) -> npt.NDArray[np.uint8]:
    """Pictures (t h w 3) of a grey ramp that brightens and a disc that moves over it: what the streams in data show."""
    y, x = np.mgrid[:rows, :columns]
    pictures = []
    for number in range(frames):
        disc = np.hypot(y - 48, x - (20 + 6 * number)) < 12
        grey = np.clip(np.clip(60 + x * 0.6 + y * 0.5 + 6 * number, 0, 255) + 60 * disc, 0, 235)
        pictures.append(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))
    return np.stack(pictures)
