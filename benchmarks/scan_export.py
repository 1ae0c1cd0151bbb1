"""An export of a hospital as `ceus-site scan` meets it: exams of nine makers among thousands of other files.

Exams of phantoms in folders named after their patients (UTF-8 and GBK), stills, CT, reports, pictures, archives, a
copy, a loop of links, a pipe, and three broken files of each of ten kinds. No patient exists.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from client.data.forms.site_config import load_site, select_screens
from client.data.imaging.clip import open_clip
from client.data.imaging.tint import TINTS
from sim.hospital.hospital import write_lesion
from sim.hospital.paperwork import write_site_config, write_table
from sim.hospital.screens import MAKERS
from sim.patients.centers import build_split
from sim.patients.patients import Case, draw_cases
from sim.phantom.draw import PhantomSettings

CENTER, SEED = 51, 7
BROKEN_EACH, TISSUE_EVERY = 3, 4
SETTINGS = PhantomSettings(pane_px=(96, 96), frame_rate_hz=2.0, continuous_s=60.0, snapshots_s=(100.0, 180.0))
NAMES = ("王小明", "李建国", "张丽", "刘洋", "陈秀英", "杨", "赵敏", "黄晓华", "周 杰", "吴=1+1")
MIX = (("still", 0.55), ("ct", 0.15), ("picture", 0.12), ("report", 0.1), ("text", 0.06), ("rubbish", 0.02))


@dataclass(frozen=True)
class MadeExport:
    """What was made. source: the hospital's own files, with the table by which a person fills the draft."""

    folder: Path
    source: Path
    exams: int
    clips: int
    tissue: int
    broken: int


def make_export(folder: Path, files: int, exams: int) -> MadeExport:
    """Write the phantoms to FOLDER/source, and the export to FOLDER/export."""
    source, export = folder / "source", folder / "export"
    cases = draw_exams(exams)
    rows = write_source(source, cases)
    export.mkdir()
    clips = tissue = 0
    for number, (case, row) in enumerate(zip(cases, rows, strict=True)):
        place = export / _name_folder(number) / case.exam_date.strftime("%Y%m%d") / "US"
        place.mkdir(parents=True, exist_ok=True)
        clips += _place_exam(source, place, case, row)
        if number % TISSUE_EVERY == 0:
            tissue += _write_tissue(source, place, case, row)
    broken = _break_files(export, source)
    _make_oddities(export)
    _fill(export, files)
    return MadeExport(export, source, exams, clips, tissue, broken)


def draw_exams(count: int) -> list[Case]:
    """One lesion an exam, the makers in turn."""
    cases = draw_cases(build_split({"external_test_a": count}, [CENTER]), SEED)
    makers = list(MAKERS)
    return [dataclasses.replace(case, manufacturer=makers[n % len(makers)]) for n, case in enumerate(cases)]


def write_source(folder: Path, cases: Sequence[Case]) -> list[dict[str, str]]:
    """The hospital's own files, and its table and screens, with which a person fills the draft."""
    for name in ("clips", "outlines"):
        (folder / name).mkdir(parents=True)
    rows = [write_lesion(folder, case, SETTINGS, SEED)[0] for case in cases]
    write_table(folder / "lesions.csv", rows)
    write_site_config(folder / "site.yaml", CENTER, cases, SETTINGS)
    return rows


def read_table(folder: Path) -> list[dict[str, str]]:
    """The hospital's table."""
    with (folder / "lesions.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _name_folder(number: int) -> str:
    name = f"{NAMES[number % len(NAMES)]}_{number:03d}"
    return os.fsdecode(name.encode("gb18030")) if number % 4 == 3 else name


def _place_exam(source: Path, place: Path, case: Case, row: dict[str, str]) -> int:
    """Clips as a PACS names them: DICOM with its own clock and a Chinese name, and videos beside a still."""
    starts = [float(start) for start in row["clip_start_s"].split(";")]
    clips = row["clips"].split(";")
    for number, (clip, start) in enumerate(zip(clips, starts, strict=True)):
        if not clip.endswith(".dcm"):
            shutil.copy(source / clip, place / Path(clip).name)
            continue
        data = dcmread(source / clip)
        data.SpecificCharacterSet, data.PatientName = "GB18030", NAMES[number % len(NAMES)]
        data.ContentTime = f"{9 + int(start) // 3600:02d}{int(start) // 60 % 60:02d}{start % 60:06.3f}"
        suffix = ("", ".dcm", ".001", ".IMA")[number % 4]
        data.save_as(place / f"{Path(clip).stem}{suffix}")
    if not clips[0].endswith(".dcm"):
        still = _make_dicom(1, "1.2.840.10008.5.1.4.1.1.6.1", "US")
        still.PatientID, still.StudyDate = case.patient_id, case.exam_date.strftime("%Y%m%d")
        still.Manufacturer = MAKERS[case.manufacturer].tag
        still.save_as(place / "IM0001", enforce_file_format=True)
    return len(clips)


def _write_tissue(source: Path, place: Path, case: Case, row: dict[str, str]) -> int:
    """The B-mode pane of the first clip as a clip of its own, as it is stored before the contrast agent is given."""
    site = load_site(source)
    screens = select_screens(site, case.manufacturer)
    clip = open_clip(source / row["clips"].split(";")[0], 0.0, None, screens, {**TINTS, **site.tints})
    if clip.bmode is None:
        return 0
    data = _make_dicom(5, "1.2.840.10008.5.1.4.1.1.3.1", "US")
    data.PatientID, data.StudyDate = case.patient_id, case.exam_date.strftime("%Y%m%d")
    data.Manufacturer, data.FrameTime = MAKERS[case.manufacturer].tag, "500"
    data.NumberOfFrames, data.Rows, data.Columns = clip.bmode.shape
    beside = next((path for path in place.iterdir() if path.stem.endswith("_1")), None)
    if beside is not None and row["clips"].endswith(".dcm"):
        data.StudyInstanceUID = dcmread(beside, stop_before_pixels=True).StudyInstanceUID
    data.PixelData = np.stack(list(clip.bmode)).tobytes()
    data.save_as(place / "TISSUE", enforce_file_format=True)
    return 1


def _make_dicom(seed: int, kind: str, modality: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = kind
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.StudyInstanceUID = generate_uid()
    data.Modality, data.PatientID, data.PatientName = modality, f"OTHER-{seed}", "DOE^JANE"
    data.Rows = data.Columns = 128
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = np.random.default_rng(seed).integers(0, 255, (128, 128), np.uint8).tobytes()
    return data


def _break_files(export: Path, source: Path) -> int:
    """BROKEN_EACH files of each of ten kinds."""
    folder = export / "broken"
    folder.mkdir()
    dicom = sorted(source.glob("clips/*.dcm"), key=lambda path: path.stat().st_size)[-1].read_bytes()
    native = _make_dicom(3, "1.2.840.10008.5.1.4.1.1.3.1", "US")
    native.NumberOfFrames = 400
    video = sorted([*source.glob("clips/*.avi"), *source.glob("clips/*.mp4")])[-1]
    content, made = video.read_bytes(), 0
    jpip = _make_dicom(4, "1.2.840.10008.5.1.4.1.1.3.1", "US")
    jpip.file_meta.TransferSyntaxUID, jpip.NumberOfFrames = "1.2.840.10008.1.2.4.94", 4
    jpip.PixelData = encapsulate([bytes(100)] * 4)
    for number in range(BROKEN_EACH):
        (folder / f"empty{number}.dcm").touch()
        (folder / f"cut{number}.dcm").write_bytes(dicom[: len(dicom) // (2 + number)])
        (folder / f"header{number}.dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)) * (1 + number))
        (folder / f"noise{number}.avi").write_bytes(bytes(range(128, 256)) * (9 + number))
        (folder / f"cut{number}{video.suffix}").write_bytes(content[: len(content) // (2 + number)])
        (folder / f"gone{number}.dcm").symlink_to(folder / "nowhere" / str(number))
        (folder / f"self{number}.dcm").symlink_to(folder / f"self{number}.dcm")
        native.save_as(folder / f"frames{number}.dcm", enforce_file_format=True)
        native.file_meta.MediaStorageSOPInstanceUID = native.SOPInstanceUID = generate_uid()
        jpip.save_as(folder / f"jpip{number}.dcm", enforce_file_format=True)
        jpip.file_meta.MediaStorageSOPInstanceUID = jpip.SOPInstanceUID = generate_uid()
        made += 9
    _write_directory(export, [("DICOM", f"IM{number}") for number in range(BROKEN_EACH)])
    return made + BROKEN_EACH


def _write_directory(export: Path, listed: Sequence[tuple[str, ...]]) -> None:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    records = []
    for parts in listed:
        record = Dataset()
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", list(parts)
        records.append(record)
    data.DirectoryRecordSequence = records
    data.save_as(export / "DICOMDIR", enforce_file_format=True)


def _make_oddities(export: Path) -> None:
    """A loop of links, a pipe, an archive, and a second copy of one exam."""
    (export / "broken" / "loop").symlink_to(export)
    os.mkfifo(export / "broken" / "pipe")
    first = next(path for path in sorted(export.rglob("*_1")) if path.is_file())
    (export / "second copy").mkdir()
    shutil.copy(first, export / "second copy" / "IM")
    with zipfile.ZipFile(export / "more.zip", "w") as archive:
        archive.write(first, "IM")


def _fill(export: Path, files: int) -> None:
    """Other files up to so many, in folders of 500, each one a file of its own."""
    have = sum(1 for _, _, names in os.walk(export) for _ in names)
    for number, content in enumerate(_other_files(files - have)):
        folder = export / "archive" / f"{number // 5000:02d}" / f"{number // 500:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        suffix, data = content
        (folder / f"{number:06d}{suffix}").write_bytes(data)


def _other_files(count: int) -> Iterator[tuple[str, bytes]]:
    """Suffix and content, in the shares of MIX; DICOM files differ in their ids."""
    draw = np.random.default_rng(SEED)
    picture = cv2.imencode(".jpg", draw.integers(0, 255, (64, 64), np.uint8))[1].tobytes()
    kinds = draw.choice([name for name, _ in MIX], count, p=[share for _, share in MIX])
    templates = {
        "still": _encode(_make_dicom(1, "1.2.840.10008.5.1.4.1.1.6.1", "US")),
        "ct": _encode(_make_dicom(2, "1.2.840.10008.5.1.4.1.1.2", "CT")),
    }
    for number, kind in enumerate(kinds):
        if kind in templates:
            content, patient = templates[kind]
            yield ("", ".dcm")[number % 2], content.replace(patient, f"P{number:06d}"[: len(patient)].encode())
        elif kind == "picture":
            yield ".jpg", picture
        elif kind == "report":
            yield ".pdf", b"%PDF-1.4 " + bytes(draw.integers(32, 127, 4000, np.uint8))
        elif kind == "text":
            yield ".txt", "超声造影 报告".encode("gb18030") * 20
        else:
            yield ".db", bytes(draw.integers(0, 256, 300, np.uint8))


def _encode(data: Dataset) -> tuple[bytes, bytes]:
    held = BytesIO()
    data.save_as(held, enforce_file_format=True)
    return held.getvalue(), str(data.PatientID).encode()
