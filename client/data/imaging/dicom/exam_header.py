"""Read from a DICOM header what tells the exams of an export apart. Ids become keyed digests before anything is kept.

`ceus-site scan` and `ceus-site receive` read these tags; a lesion's clip is read by `header.ALLOWED` alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import warnings
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset

from client.data.imaging.dicom.deflate import DEFLATED, inflate
from client.data.imaging.dicom.header import read_whole_number
from client.data.imaging.dicom.wrapping import is_packed, unwrap
from client.data.imaging.manufacturers import normalize_manufacturer
from client.data.imaging.recording import unreadable_error

EXAM_TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "Modality",
    "StudyDate",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
    "ContrastBolusAgent",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "Manufacturer",
)
ULTRASOUND_CLASSES = tuple(f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("3", "3.1", "6", "6.1"))
"""Ultrasound Image and Multi-frame Image Storage; 3 and 6 are their retired forms."""
_DIRECTORY = "1.2.840.10008.1.3.10"
DIGEST_CHARACTERS = 32
_MARK_BYTES = 4
_CLOCK = re.compile(r"(\d{2})(\d{2})(\d{2}(?:\.\d{1,6})?)")


@dataclass(frozen=True, slots=True)
class ExamHeader:
    """What a DICOM file says of its exam, without an id.

    Attributes:
        instance, study, patient: Keyed digests of SOPInstanceUID, StudyInstanceUID and PatientID; "" where absent.
        date: Day of the exam, YYYY-MM-DD; "" where none is stated.
        clock_s: Time of the recording, seconds of the day; None where none is stated.
        ultrasound: Whether it is an ultrasound image.
        directory: Whether it is a DICOMDIR.
        frames: As stated, at least 1; 0 for an object without a picture.
        manufacturer: Normalised name.
        agent: Whether a contrast agent is stated.
    """

    instance: str
    study: str
    patient: str
    date: str
    clock_s: float | None
    ultrasound: bool
    directory: bool
    frames: int
    manufacturer: str
    agent: bool


def make_digest(key: bytes, kind: str, text: str) -> str:
    """HMAC-SHA256 (RFC 2104) of an id under the site's secret, 32 hexadecimal characters; kind as in make_pseudonym."""
    return hmac.new(key, f"fedceus/scan/{kind}/{text}".encode(errors="surrogateescape"), hashlib.sha256).hexdigest()[
        :DIGEST_CHARACTERS
    ]


def read_exam_header(path: Path, key: bytes) -> ExamHeader:
    """The header of a DICOM file, also of one that is packed or has no preamble.

    Raises ClipError, and OSError of the file.
    """
    with path.open("rb") as file:
        held = unwrap(path) if is_packed(file.read(_MARK_BYTES)) else None
    path = path if held is None else held.path
    with path.open("rb") as file:
        header, meta = _read_tags(file)
    if str(meta.get("TransferSyntaxUID", "")) == DEFLATED:
        plain = inflate(path)
        with plain.path.open("rb") as file:
            header = _read_tags(file)[0]
    try:
        return _build_header(header, meta, key)
    except Exception as error:  # pydicom converts values when they are asked for, and may raise anything
        raise unreadable_error("DICOM", f"a damaged header ({type(error).__name__})") from None


def _read_tags(file: BinaryIO) -> tuple[Dataset, Dataset]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(file, specific_tags=list(EXAM_TAGS), stop_before_pixels=True, force=True)
            return header, header.file_meta
    except OSError:
        raise
    except Exception as error:  # pydicom raises a dozen types for damaged files; none of its text may pass
        raise unreadable_error("DICOM", f"a damaged header ({type(error).__name__})") from None


def _build_header(header: Dataset, meta: Dataset, key: bytes) -> ExamHeader:
    kind = str(header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    rows = read_whole_number(header, "Rows", 0)
    if not kind and not rows:
        raise unreadable_error("DICOM", "a damaged header (neither a class nor a picture)")
    return ExamHeader(
        instance=_digest_id(header, "SOPInstanceUID", key, "instance"),
        study=_digest_id(header, "StudyInstanceUID", key, "study"),
        patient=_digest_id(header, "PatientID", key, "patient"),
        date=_parse_day(str(header.get("StudyDate") or "")),
        clock_s=_find_clock(header),
        ultrasound=kind in ULTRASOUND_CLASSES or (str(header.get("Modality") or "") == "US" and rows > 0),
        directory=kind == _DIRECTORY,
        frames=max(1, read_whole_number(header, "NumberOfFrames", 1)) if rows else 0,
        manufacturer=normalize_manufacturer(str(header.get("Manufacturer") or "")),
        agent=bool(str(header.get("ContrastBolusAgent") or "").strip()),
    )


def _digest_id(header: Dataset, keyword: str, key: bytes, kind: str) -> str:
    text = str(header.get(keyword) or "").strip().strip("\0")
    return make_digest(key, kind, text) if text else ""


def _parse_day(text: str) -> str:
    digits = text.strip().replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).isoformat() if len(digits) == 8 else ""
    except ValueError:
        return ""


def _find_clock(header: Dataset) -> float | None:
    """The first stated time of recording, seconds of the day."""
    stated = [str(header.get("AcquisitionDateTime") or "")[8:]]
    stated += [str(header.get(keyword) or "") for keyword in ("AcquisitionTime", "ContentTime")]
    for text in stated:
        if (found := _CLOCK.match(text.strip())) is not None:
            hours, minutes, seconds = found.groups()
            return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
    return None
