"""DICOMDIR (PS3.3 F): the list of the files of a medium, read to the one clip that it lists."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from client.data.imaging.recording import ClipError, unreadable_error

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_MULTI_FRAME = ("1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.3")
"""Ultrasound multi-frame image storage, and the retired one."""
_TAGS = ["DirectoryRecordSequence", "DirectoryRecordType", "ReferencedFileID", "ReferencedSOPClassUIDInFile"]


def find_clip(path: Path) -> Path:
    """The clip that a DICOMDIR lists: its only multi-frame ultrasound image, else its only image.

    Raises ClipError where there are more, or none.
    """
    listed = list(_list_images(path))
    clips = [file for file, kind in listed if kind in _MULTI_FRAME] or [file for file, _ in listed]
    if len(clips) == 1:
        return clips[0]
    raise ClipError(
        "clip-list",
        "a clip is one file, and a DICOMDIR stands for a clip only where it lists one",
        f"a DICOMDIR of {len(listed)} images, {sum(kind in _MULTI_FRAME for _, kind in listed)} of them clips",
        "write the paths of the lesion's clips from the folders beside the DICOMDIR, joined by semicolons",
    )


def _list_images(path: Path) -> Iterator[tuple[Path, str]]:
    """The files of the image records that are there, below the DICOMDIR's folder, with their SOP class."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = list(dcmread(path, specific_tags=_TAGS).get("DirectoryRecordSequence") or ())
            images = [_read_record(record) for record in records]
    except Exception as error:  # pydicom raises any type on a damaged file; none of its text may pass
        raise unreadable_error("DICOM", f"a damaged DICOMDIR ({type(error).__name__})") from None
    folder = path.parent.resolve()
    for parts, kind in images:
        file = folder.joinpath(*parts).resolve()
        if parts and file.is_relative_to(folder) and file.is_file():
            yield file, kind


def _read_record(record: Dataset) -> tuple[list[str], str]:
    """Parts of the path and SOP class of an image record; no part for another record."""
    named = record.get("ReferencedFileID") if record.get("DirectoryRecordType") == "IMAGE" else None
    parts = [named] if isinstance(named, str) else list(named or ())
    return [str(part) for part in parts], str(record.get("ReferencedSOPClassUIDInFile") or "")
