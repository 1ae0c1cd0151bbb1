"""Write screens as multi-frame DICOM in three transfer syntaxes, AVI or MP4, as machines and exports do."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from sim.hospital.screens import Box, Layout, Maker
from sim.phantom.draw import F64, U8

cv2.setNumThreads(1)

Syntax = Literal["jpeg", "rle", "raw"]
SYNTAXES = {"jpeg": JPEGBaseline8Bit, "rle": RLELossless, "raw": ExplicitVRLittleEndian}
CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
SHORTEST_RUN = 6  # shorter runs save few bytes and take time
VECTOR_OFFSET_MS = 33.0  # real frame time vectors start with a non-zero entry, which says nothing


@dataclass(frozen=True)
class Identity:
    """The identifiers in a DICOM header; they are invented, but a client must remove them."""

    patient_name: str
    patient_id: str
    birth_date: datetime.date
    exam_date: datetime.date
    sex: Literal["M", "F"]
    hospital: str
    lesion_id: str
    clip: int


@dataclass(frozen=True)
class Geometry:
    """The layout of a file's frames; `regions` says whether the file has ultrasound regions."""

    layout: Layout
    mm_per_px: float
    regions: bool


Form = tuple[Geometry, Syntax, int]
"""Geometry, compression, JPEG quality."""


def write_video(path: Path, screens: Iterable[U8], rate_hz: float) -> None:
    """Write RGB screens (h w 3) as AVI (Motion JPEG) or MP4 (MPEG-4). Raises OSError if OpenCV cannot write."""
    writer: cv2.VideoWriter | None = None
    for screen in screens:
        if writer is None:
            code = cv2.VideoWriter.fourcc(*CODECS[path.suffix])
            writer = cv2.VideoWriter(str(path), code, rate_hz, (screen.shape[1], screen.shape[0]))
            if not writer.isOpened():
                raise OSError(f"expected OpenCV with {path.suffix}, it cannot write; install OpenCV with FFmpeg")
        writer.write(cv2.cvtColor(screen, cv2.COLOR_RGB2BGR))
    if writer is not None:
        writer.release()


def write_dicom(path: Path, screens: Iterable[U8], seconds: F64, identity: Identity, maker: Maker, form: Form) -> None:
    """Write RGB screens (h w 3) at `seconds` (t) as an ultrasound multi-frame image."""
    geometry, syntax, quality = form
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    _set_identity(data, identity, maker)
    _set_frame_times(data, seconds)
    if geometry.regions:
        layout = geometry.layout
        data.SequenceOfUltrasoundRegions = [
            _build_region(box, geometry.mm_per_px) for box in (layout.contrast, layout.bmode) if box is not None
        ]
    _set_pixels(data, screens, syntax, quality)
    data.save_as(path, enforce_file_format=True)


def _set_identity(data: Dataset, identity: Identity, maker: Maker) -> None:
    root = f"{identity.hospital} {identity.lesion_id}"
    data.SOPClassUID = UltrasoundMultiFrameImageStorage
    data.SOPInstanceUID = generate_uid(entropy_srcs=[root, str(identity.clip)])
    data.StudyInstanceUID = generate_uid(entropy_srcs=[root, "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[root, "series"])
    data.Modality = "US"
    data.PatientName = identity.patient_name
    data.PatientID = identity.patient_id
    data.PatientSex = identity.sex
    data.PatientBirthDate = identity.birth_date.strftime("%Y%m%d")
    data.StudyDate = data.ContentDate = identity.exam_date.strftime("%Y%m%d")
    data.StudyTime = data.ContentTime = "093000"
    data.StudyID = identity.lesion_id
    data.AccessionNumber = f"A{identity.lesion_id}"
    data.ReferringPhysicianName = "WANG^YISHENG"
    data.InstitutionName = identity.hospital
    data.InstanceNumber = str(identity.clip)
    data.SeriesNumber = "1"
    data.Manufacturer = maker.tag
    data.ManufacturerModelName = maker.model
    data.ContrastBolusAgent = "SonoVue"
    data.MechanicalIndex = "0.08"


def _set_frame_times(data: Dataset, seconds: F64) -> None:
    steps_ms = np.round(np.diff(seconds) * 1000, 3)
    if np.ptp(steps_ms) < 2e-3:
        data.FrameTime = f"{steps_ms[0]:.3f}"
        data.FrameIncrementPointer = 0x00181063
    else:
        data.FrameTimeVector = [f"{ms:.3f}" for ms in (VECTOR_OFFSET_MS, *steps_ms)]
        data.FrameIncrementPointer = 0x00181065
    data.CineRate = str(max(1, round(1000 / float(steps_ms.mean()))))  # rounded, as machines do


def _build_region(box: Box, mm_per_px: float) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat = 1  # two-dimensional
    region.RegionDataType = 1  # tissue
    region.RegionFlags = 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = box[0], box[1]
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = box[2] - 1, box[3] - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # cm
    region.PhysicalDeltaX = region.PhysicalDeltaY = mm_per_px / 10
    return region


def _set_pixels(data: Dataset, screens: Iterable[U8], syntax: Syntax, quality: int) -> None:
    frames: list[bytes] = []
    shape = (0, 0)
    for screen in screens:
        shape = (screen.shape[0], screen.shape[1])
        frames.append(_encode_frame(screen, syntax, quality))
    data.NumberOfFrames = str(len(frames))
    data.Rows, data.Columns = shape
    data.SamplesPerPixel = 3
    data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.PixelRepresentation = 0
    data.PhotometricInterpretation = "YBR_FULL_422" if syntax == "jpeg" else "RGB"
    if syntax == "jpeg":
        data.LossyImageCompression = "01"
        data.LossyImageCompressionMethod = "ISO_10918_1"
    joined = b"".join(frames) if syntax == "raw" else encapsulate(frames)
    data.PixelData = joined + b"\0" * (len(joined) % 2)
    data["PixelData"].VR = "OB"


def _encode_frame(screen: U8, syntax: Syntax, quality: int) -> bytes:
    if syntax == "raw":
        return screen.tobytes()
    if syntax == "rle":
        return encode_rle_frame(screen)
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    ]
    done, code = cv2.imencode(".jpg", cv2.cvtColor(screen, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise OSError("expected OpenCV with JPEG, it cannot encode; install opencv-python-headless with JPEG")
    return code.tobytes()


def encode_rle_frame(screen: U8) -> bytes:
    """Encode a frame (h w 3) in DICOM RLE (PS3.5 Annex G), tens of times faster than pydicom's encoder."""
    segments = [_pack_bits(np.ascontiguousarray(screen[:, :, c])) for c in range(screen.shape[2])]
    offsets = 64 + np.cumsum([0, *(len(s) for s in segments[:-1])])
    header = np.zeros(16, "<u4")
    header[: len(segments) + 1] = [len(segments), *offsets]
    return header.tobytes() + b"".join(segments)


def _pack_bits(plane: U8) -> bytes:
    """PackBits of a plane (h w) in even length, row by row: long runs as repeats, the rest as literals."""
    out = bytearray()
    width = plane.shape[1]
    data = plane.tobytes()
    flat = plane.ravel()
    breaks = flat[1:] != flat[:-1]
    breaks[width - 1 :: width] = True
    edges = np.concatenate([[0], np.flatnonzero(breaks) + 1, [flat.size]])
    long = np.flatnonzero(np.diff(edges) >= SHORTEST_RUN)
    done = 0
    for start, end in zip(edges[long].tolist(), edges[long + 1].tolist(), strict=True):
        _write_literals(out, data, (done, start), width)
        _write_repeat(out, data[start], end - start)
        done = end
    _write_literals(out, data, (done, flat.size), width)
    return bytes(out) + b"\0" * (len(out) % 2)


def _write_literals(out: bytearray, data: bytes, span: tuple[int, int], width: int) -> None:
    start, end = span
    while start < end:
        stop = min(start + 128, end, (start // width + 1) * width)
        out.append(stop - start - 1)
        out += data[start:stop]
        start = stop


def _write_repeat(out: bytearray, value: int, count: int) -> None:
    while count > 0:
        piece = min(count, 128)
        if piece == 1:
            out += bytes((0, value))
        else:
            out += bytes((257 - piece, value))
        count -= piece
