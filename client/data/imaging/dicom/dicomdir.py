"""The files that a DICOMDIR lists (PS3.3 F.3): their paths below the folder that it lies in, and nothing else of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from client.data.imaging.recording import unreadable_error

_MAX_BYTES = 256 << 20
"""A record takes about 500 bytes: half a million of them."""


def list_referenced_files(path: Path) -> list[tuple[str, ...]]:
    """The parts of every listed path. Raises ClipError where it is damaged, and OSError of the file."""
    if path.stat().st_size > _MAX_BYTES:
        raise unreadable_error("DICOM", "a DICOMDIR of more than 256 MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            directory = pydicom.dcmread(path, specific_tags=["DirectoryRecordSequence"], force=True)
            records: Sequence[Dataset] = directory["DirectoryRecordSequence"].value
            return [found for record in records if (found := _find_parts(record))]
    except OSError:
        raise
    except Exception as error:  # pydicom raises a dozen types for damaged files; none of its text may pass
        raise unreadable_error("DICOM", f"a damaged DICOMDIR ({type(error).__name__})") from None


def _find_parts(record: Dataset) -> tuple[str, ...]:
    stated = record.get("ReferencedFileID")
    if not stated:
        return ()
    parts = [stated] if isinstance(stated, str) else list(stated)
    named = tuple(str(part).strip() for part in parts)
    return () if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in named) else named
