"""One lesion as every drawing tool would save it. Polygons are (x, y) in pixels, centers at whole numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import cv2
import highdicom
import nibabel
import numpy as np
import numpy.typing as npt
from highdicom import sr
from made_clips import write_dicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS, FRAMES = 120, 200, 12
SQUARE = [[30, 40], [60, 40], [60, 80], [30, 80]]
Points = list[list[float]] | list[list[int]]


def painted(points: Points = SQUARE, rows: int = ROWS, columns: int = COLUMNS) -> npt.NDArray[np.uint8]:
    """A mask (h w) of 0 and 1."""
    return cv2.fillPoly(np.zeros((rows, columns), np.uint8), [np.array(points, np.int32)], 1)


def labelme(path: Path, points: Any = SQUARE, frame: int = 3, **more: Any) -> Path:
    shape = {"label": "lesion", "points": points, "shape_type": "polygon"}
    document = {"shapes": [shape], "imageHeight": ROWS, "imageWidth": COLUMNS, "frame": frame, **more}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def coco(path: Path, points: Points = SQUARE, frame: int = 3, more: Mapping[int, Points] | None = None) -> Path:
    """more: frame → another outline in the same file."""
    drawn = {**(more or {}), frame: points}
    pictures = [
        {"id": n + 7, "file_name": f"frame_{at:06d}.PNG", "height": ROWS, "width": COLUMNS}
        for n, at in enumerate(drawn)
    ]
    notes = [
        {"id": n, "image_id": n + 7, "category_id": 1, "segmentation": [[v + 0.5 for p in part for v in p]]}
        for n, part in enumerate(drawn.values())
    ]
    document = {"images": pictures, "annotations": notes, "categories": [{"id": 1, "name": "lesion"}]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def coco_runs(path: Path, points: Points = SQUARE, frame: int = 3) -> Path:
    flat = painted(points).T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    counts = np.diff([0, *edges, len(flat)]).tolist()
    picture = {"id": 1, "file_name": f"frame_{frame:06d}.PNG", "height": ROWS, "width": COLUMNS}
    note = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [ROWS, COLUMNS], "counts": counts}}
    path.write_text(json.dumps({"images": [picture], "annotations": [note]}), encoding="utf-8")
    return path


def datumaro(path: Path, points: Points = SQUARE, frame: int = 3) -> Path:
    note = {"type": "polygon", "label_id": 0, "points": [v + 0.5 for p in points for v in p]}
    item = {"id": "clip", "annotations": [note], "attr": {"frame": frame}, "image": {"size": [ROWS, COLUMNS]}}
    document = {"categories": {"label": {"labels": [{"name": "lesion"}]}}, "items": [item]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def cvat_points(points: Points = SQUARE) -> str:
    return ";".join(f"{x + 0.5:.2f},{y + 0.5:.2f}" for x, y in points)


def cvat_images(path: Path, points: Points = SQUARE, frame: int = 3, label: str = "lesion") -> Path:
    shape = f'<polygon label={quoteattr(label)} source="manual" points="{cvat_points(points)}" z_order="0"/>'
    picture = f'<image id="0" name="frame_{frame:06d}" width="{COLUMNS}" height="{ROWS}">{shape}</image>'
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    path.write_text(f"{head}<annotations><version>1.1</version>{picture}</annotations>", encoding="utf-8")
    return path


def cvat_video(path: Path, points: Points = SQUARE, frame: int = 3) -> Path:
    """One key frame, the frames that CVAT repeats after it, and the end of the track."""
    attributes = 'occluded="0" z_order="0"'
    shapes = "".join(
        f'<polygon frame="{at}" keyframe="{int(at in (frame, frame + 3))}" outside="{int(at == frame + 3)}" '
        f'{attributes} points="{cvat_points(points)}"/>'
        for at in range(frame, frame + 4)
    )
    size = f"<original_size><width>{COLUMNS}</width><height>{ROWS}</height></original_size>"
    track = f'<track id="0" label="lesion" source="manual">{shapes}</track>'
    text = f"<annotations><version>1.1</version><meta><task>{size}</task></meta>{track}</annotations>"
    path.write_text(text, encoding="utf-8")
    return path


def png(path: Path, points: Points = SQUARE, frame: int = 3, level: int = 255) -> Path:
    path.write_bytes(cv2.imencode(".png", painted(points) * np.uint8(level))[1].tobytes())
    return path


def nifti(path: Path, points: Points = SQUARE, frame: int = 3, kind: Any = np.uint8) -> Path:
    """Axes x, y, frame, as ITK-SNAP writes them."""
    volume = np.zeros((COLUMNS, ROWS, FRAMES), kind)
    volume[:, :, frame] = painted(points).T
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([-0.2, -0.2, 1, 1])), path)
    return path


def report(path: Path, points: Points = SQUARE, frame: int = 3, **more: Points) -> Path:
    """A TID 1500 report written by highdicom on a real multi-frame ultrasound file; DICOM counts frames from 1."""
    pixels = np.zeros((FRAMES, ROWS, COLUMNS), np.uint8)
    tags = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "PatientBirthDate": ""}
    tags |= {"PatientSex": "", "AccessionNumber": "", "StudyID": "", "StudyDate": "", "StudyTime": ""}
    tags |= {"ReferringPhysicianName": "", "Modality": "US"}
    source = write_dicom(path.with_suffix(".us"), pixels, "MONOCHROME2", tags)
    image = highdicom.imread(source)
    groups = [_region(image, part, frame, name) for name, part in {"lesion": points, **more}.items()]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    sr.ComprehensiveSR(
        evidence=[image],
        content=content,
        series_number=1,
        series_instance_uid=generate_uid(),
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="tests",
    ).save_as(path)
    source.unlink()
    return path


def _region(image: Dataset, points: Points, frame: int, name: str) -> Any:
    closed = np.array([*points, points[0]], dtype=np.float64) + 0.5
    place = sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID, [frame + 1])
    region = sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, closed, place)
    tracking = sr.TrackingIdentifier(uid=generate_uid(), identifier=name)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(tracking, referenced_region=region)


def segmentation(path: Path, points: Points = SQUARE, frame: int = 3, label: str = "lesion") -> Path:
    """A binary SEG of the frames around one; the bits of its frames do not begin at bytes' borders."""
    at = [frame - 1, frame, frame + 1]
    masks = np.stack([painted(points) * (n == frame) for n in at])
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.PatientName, data.Modality, data.SegmentationType = "DOE^JANE", "SEG", "BINARY"
    data.NumberOfFrames, data.Rows, data.Columns = masks.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 1, 1, 0, 0
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 1, label
    data.SegmentSequence = [segment]
    data.PerFrameFunctionalGroupsSequence = [_group(n + 1) for n in at]
    packed = np.packbits(masks.reshape(-1), bitorder="little").tobytes()
    data.PixelData = packed + b"\0" * (len(packed) % 2)
    data.save_as(path, enforce_file_format=True)
    return path


def _group(number: int) -> Dataset:
    source, derivation, identity, group = Dataset(), Dataset(), Dataset(), Dataset()
    source.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    source.ReferencedSOPInstanceUID, source.ReferencedFrameNumber = "1.2.3", number
    derivation.SourceImageSequence = [source]
    identity.ReferencedSegmentNumber = 1
    group.DerivationImageSequence, group.SegmentIdentificationSequence = [derivation], [identity]
    return group


FORMATS: Mapping[str, tuple[str, Callable[..., Path]]] = {
    "LabelMe": ("a.json", labelme),
    "COCO polygon": ("a.json", coco),
    "COCO run lengths": ("a.json", coco_runs),
    "Datumaro": ("a.json", datumaro),
    "CVAT images": ("a.xml", cvat_images),
    "CVAT video": ("a.xml", cvat_video),
    "PNG": ("a.png", png),
    "NIfTI": ("a.nii", nifti),
    "NIfTI packed": ("a.nii.gz", nifti),
    "DICOM SR": ("a.dcm", report),
    "DICOM SEG": ("a.dcm", segmentation),
}
"""Name → a file's name, and what writes it as (path, points, frame)."""
