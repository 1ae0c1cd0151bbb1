"""A small export as a hospital makes one: exams of DICOM clips in nested folders, and what else lies there."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from made_clips import region, write_dicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

NAME, ID = "王^小明", "ID-4711"
CONTRAST, BMODE = (0, 10, 60, 70), (60, 10, 120, 70)
ROWS, COLUMNS, FRAMES, PEAK = 80, 120, 24, 10
SITE = "schema: 1\ncenter: 40\nname: Hospital 40\n"


def draw_screens(seed: int, rises: bool = True, frames: int = FRAMES) -> npt.NDArray[np.uint8]:
    """RGB (t h w 3): a tinted pane that brightens up to frame PEAK, and grey tissue beside it, below a banner."""
    draw = np.random.default_rng(seed)
    screens = np.zeros((frames, ROWS, COLUMNS, 3), np.uint8)
    screens[:, 2:8, 4:100] = 255  # a banner
    for number, screen in enumerate(screens):
        level = 150 * np.exp(-(((number - PEAK) / 5) ** 2)) if rises and number > 3 else 8.0
        bubbles = np.clip(level + draw.normal(0, 6, (60, 60)), 4, 250)
        screen[10:70, :60] = np.stack([bubbles, 0.6 * bubbles, 0.4 * bubbles], axis=2).astype(np.uint8)
        screen[10:70, 60:] = draw.integers(60, 110, (60, 60, 1), np.uint8)
    return screens


def write_clip(path: Path, seed: int = 0, rises: bool = True, **tags: Any) -> Path:
    """A clip of one second a frame; tags replace those of the exam."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stated: Mapping[str, Any] = {
        "Modality": "US",
        "PatientID": ID,
        "PatientName": NAME,
        "SpecificCharacterSet": "ISO_IR 192",
        "StudyInstanceUID": "1.2.3",
        "StudyDate": "20210307",
        "ContentTime": f"0930{seed % 60:02d}",
        "Manufacturer": "Philips Medical Systems",
        "FrameTime": "1000",
        "SequenceOfUltrasoundRegions": [region(CONTRAST), region(BMODE)],
    }
    return write_dicom(path, draw_screens(seed, rises), "RGB", {**stated, **tags})


def write_video(path: Path, seed: int = 0) -> Path:
    """The same screens as AVI, one frame a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.avi")
    writer = cv2.VideoWriter(str(made), cv2.VideoWriter.fourcc(*"MJPG"), 1.0, (COLUMNS, ROWS))
    for screen in draw_screens(seed):
        writer.write(np.ascontiguousarray(screen[:, :, ::-1]))
    writer.release()
    return made.rename(path)


def write_still(path: Path, **tags: Any) -> Path:
    """One picture of an exam."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = {"Modality": "US", "PatientID": ID, "StudyInstanceUID": "1.2.3", "StudyDate": "20210307"}
    return write_dicom(path, np.full((1, 32, 32), 7, np.uint8), "MONOCHROME2", {**stated, **tags})


def write_dicomdir(folder: Path, listed: list[tuple[str, ...]]) -> Path:
    """A DICOMDIR that lists these files, and a patient by name."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    patient = Dataset()
    patient.DirectoryRecordType, patient.PatientName, patient.PatientID = "PATIENT", "DOE^JANE", ID
    images = []
    for parts in listed:
        image = Dataset()
        image.DirectoryRecordType, image.ReferencedFileID = "IMAGE", list(parts)
        images.append(image)
    data.DirectoryRecordSequence = [patient, *images]
    data.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def write_site(folder: Path) -> Path:
    """A site's folder with site.yaml and no table."""
    folder.mkdir(parents=True)
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    return folder


def write_export(folder: Path) -> Path:
    """Two exams of one patient and one of another, a copy, stills, documents and files that are broken."""
    write_clip(folder / "王小明" / "20210307" / "IM1", 1)
    write_clip(folder / "王小明" / "20210307" / "IM2", 41, StudyInstanceUID="1.2.3")
    write_clip(folder / "王小明" / "20220101" / "IM1.001", 3, StudyInstanceUID="1.2.4", StudyDate="20220101")
    tissue = write_clip(folder / "b" / "clip.dcm", 4, rises=False, PatientID="B", StudyInstanceUID="1.2.5")
    write_clip(folder / "b" / "enhanced.dcm", 5, PatientID="B", StudyInstanceUID="1.2.5")
    (folder / "copies").mkdir()
    (folder / "copies" / "again").write_bytes(tissue.read_bytes())
    write_still(folder / "b" / "still.dcm", StudyInstanceUID="1.2.5")
    (folder / "报告.pdf").write_bytes(b"%PDF-1.4 report of Wang")
    (folder / "notes.txt").write_text("王小明", encoding="gb18030")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(tissue, "clip.dcm")
    (folder / "nothing.dcm").touch()
    (folder / "rubbish.avi").write_bytes(bytes(range(200)))
    content = tissue.read_bytes()
    (folder / "cut.dcm").write_bytes(content[: len(content) // 2])
    return folder
