"""Read the tags of ALLOWED from a DICOM header.

Everything else (names, ids, dates, comments) is skipped while the file is read, so it never reaches memory; warnings
of the parser, which may quote values, are silenced for the same reason.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import BinaryIO

import pydicom
import pydicom.config
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.tag import BaseTag

from client.data.imaging.recording import missing_file_error, unreadable_error

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

ALLOWED = (
    "Manufacturer",
    "SequenceOfUltrasoundRegions",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ExtendedOffsetTable",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "FrameIncrementPointer",
    "FrameTime",
    "FrameTimeVector",
    "CineRate",
    "RecommendedDisplayFrameRate",
    "EffectiveDuration",
)


def read_header(file: BinaryIO) -> Dataset:
    """The allowed tags of an opened file, which then stands at the pixel data. Raises ClipError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(file, specific_tags=list(ALLOWED), stop_before_pixels=True)
            _drop_damaged(header)
            return header
    except Exception as error:  # pydicom raises a dozen types for damaged files; none of its text may pass
        raise unreadable_error("DICOM", f"a damaged header ({type(error).__name__})") from None


def _drop_damaged(header: Dataset) -> None:
    """pydicom converts a value when it is asked for, and may then raise anything: what it cannot convert is absent."""
    for tag in list(header.keys()):
        try:
            _convert(header, tag)
        except Exception:  # as above
            del header[tag]


def _convert(dataset: Dataset, tag: BaseTag) -> None:
    element = dataset[tag]
    if element.VR == "SQ":
        for item in element.value:
            for inner in list(item.keys()):
                _convert(item, inner)


def read_transfer_syntax(path: Path) -> str:
    """UID of the file's encoding. Raises ClipError where the file is not DICOM."""
    return _read_meta(path, "TransferSyntaxUID")


def _read_meta(path: Path, keyword: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(read_file_meta_info(path).get(keyword, ""))
    except FileNotFoundError:
        raise missing_file_error() from None
    except Exception as error:  # as above
        raise unreadable_error("DICOM", f"a damaged header ({type(error).__name__})") from None


def read_storage_class(path: Path) -> str:
    """UID of the kind of object that the file states, "" where it states none. Raises ClipError as above."""
    return _read_meta(path, "MediaStorageSOPClassUID")


def read_whole_number(header: Dataset, keyword: str, default: int) -> int:
    """A whole number of the header; `default` where it is absent or no number."""
    try:
        return int(header.get(keyword) or default)
    except (TypeError, ValueError):
        return default


def parse_positive(value: object) -> float | None:
    """A number above zero of a header, None for anything else."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0.0 < number < 1e6 else None
