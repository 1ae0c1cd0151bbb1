"""A DICOMDIR beside some clips, as a CD has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid


def write_directory(folder: Path, clips: Sequence[Path]) -> Path:
    """Lists the clips; the path of the DICOMDIR."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.FileSetID = "CD"
    patient = Dataset()
    patient.DirectoryRecordType, patient.PatientName, patient.PatientID = "PATIENT", "DOE^JANE", "MRN-4711"
    records = [patient]
    for clip in clips:
        kept = pydicom.dcmread(clip, stop_before_pixels=True)
        image = Dataset()
        image.DirectoryRecordType = "IMAGE"
        image.ReferencedFileID = [*clip.relative_to(folder).parts]
        image.ReferencedSOPClassUIDInFile = kept.SOPClassUID
        image.ReferencedSOPInstanceUIDInFile = kept.SOPInstanceUID
        records.append(image)
    data.DirectoryRecordSequence = records
    data.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"
