"""Phantom clips of the demo as files, and what a second export makes of them: other UID, compression and length."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import yaml
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from client.data.forms.site_config import SiteConfig, select_screens
from client.data.imaging.clip import open_clip, probe_clip
from client.data.imaging.dicom import reader
from client.data.imaging.likeness import I8, compute_likeness
from client.data.table.rows import Row
from sim.hospital.prepare import Simulation, parse_simulation
from sim.phantom.draw import PhantomSettings

U8 = npt.NDArray[np.uint8]
ROOT = Path(__file__).parents[2]


def load_demo() -> Simulation:
    """The hospitals of the demo's plan."""
    return parse_simulation(yaml.safe_load((ROOT / "configs/plan.demo.yaml").read_text(encoding="utf-8"))["simulation"])


def demo_phantoms() -> PhantomSettings:
    """The clips of the demo's plan."""
    return load_demo().phantom


def encode_jpeg(picture: U8, quality: int = 92, marked: bool = True, subsampling: int = 2) -> bytes:
    """A baseline JPEG in YBR; not `marked`: without the JFIF segment that says so."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    data = buffer.getvalue()
    return data if marked else data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def export_again(clip: Path, out: Path, cut: int = 5, quality: int = 70) -> Path:
    """A DICOM clip as another export of the same recording has it: other UIDs, JPEG, the first frames cut off."""
    data = pydicom.dcmread(clip)
    frames = list(reader.open(clip).pictures())[cut:]
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.PatientName, data.PatientID = "OTHER^NAME", "4711"
    data.NumberOfFrames, data.PhotometricInterpretation = len(frames), "YBR_FULL_422"
    if "FrameTimeVector" in data:
        data.FrameTimeVector = data.FrameTimeVector[cut:]
    data.PixelData = encapsulate([encode_jpeg(np.ascontiguousarray(frame), quality) for frame in frames])
    data["PixelData"].VR = "OB"
    data.save_as(out)
    return out


def read_digests(path: Path, row: Row, site: SiteConfig) -> tuple[I8, I8]:
    """Of a clip of a row: of the pictures that `check` looks at, and of all frames as in `index`."""
    screens = select_screens(site, row.manufacturer)
    info = probe_clip(path, 0.0, row.frame_rate_hz, screens)
    clip = open_clip(path, 0.0, row.frame_rate_hz, screens, folder=site.work)
    return info.likeness, compute_likeness(clip.contrast, clip.bmode)
