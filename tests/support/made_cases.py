"""A hospital of one DICOM clip a patient, each spoilt in one way, and what `ceus-site check` and `index` say of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from made_clips import region, write_dicom
from small_hospital import BMODE_BOX, COLUMNS_PX, CONTRAST_BOX, RATE_HZ, ROWS, SmallHospital, make_pictures

from ceus_models.runtime.exit_codes import run_app
from ceus_models.study.processing import Processing
from client.cli.main import app
from client.data.dataset.check import CheckReport, check_site
from client.data.dataset.index import build_index
from client.data.dataset.index_report import IndexReport
from client.data.forms.site_config import load_site
from tests.support.made_copies import encode_jpeg

U8 = npt.NDArray[np.uint8]
JPEG = "1.2.840.10008.1.2.4.50"
SMALL = Processing(frames_to_peak=8, frames_after=4, size=24, flow_maps=2, flow_size=24, margin_px=4.0)
SPOILT = "max_skipped: 1.0\n"


def write_clip(path: Path, pictures: U8, encoded: list[bytes] | None = None, **tags: Any) -> Path:
    """A clip at RATE_HZ with both its panes stated. encoded: the frames as JPEG; tags: what the header says instead."""
    stated: dict[str, Any] = {"FrameTime": 1000.0 / RATE_HZ, "Manufacturer": "Philips"}
    stated["SequenceOfUltrasoundRegions"] = [region(CONTRAST_BOX), region(BMODE_BOX)]
    if encoded is None:
        return write_dicom(path, pictures, "RGB", {**stated, **tags})
    shape = {"NumberOfFrames": len(encoded), "Rows": ROWS, "Columns": COLUMNS_PX}
    return write_dicom(path, encoded, "YBR_FULL_422", {**stated, **shape, **tags}, JPEG)


__all__ = ["Cases", "encode_jpeg", "list_reasons", "run_check", "write_clip"]


class Cases(SmallHospital):
    """A hospital whose rows are added one by one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 0)
        site = folder / "site.yaml"
        site.write_text(site.read_text(encoding="utf-8") + SPOILT, encoding="utf-8")

    def clip(self, suffix: str = ".dcm") -> Path:
        """Where the clip of the next row lies."""
        return self.folder / "clips" / f"case{len(self.rows)}{suffix}"

    def take(self, clip: Path | str, **cells: str) -> int:
        """One more row with this clip and a patient of its own; its line in the table."""
        number = len(self.rows)
        super().add(number)
        path = clip if isinstance(clip, str) else clip.relative_to(self.folder).as_posix()
        self.rows[number] |= {"clips": path, "frame_rate_hz": "", "outline_frame": "8", **cells}
        return number + 2

    def dicom(self, cells: Mapping[str, str] | None = None, jpeg: bool = False, **tags: Any) -> int:
        """One more row with a clip of its own that has these tags."""
        pictures = make_pictures(len(self.rows))
        encoded = [encode_jpeg(picture) for picture in pictures] if jpeg else None
        return self.take(write_clip(self.clip(), pictures, encoded, **tags), **(cells or {}))

    def check(self) -> CheckReport:
        return check_site(self.write())

    def index(self) -> IndexReport:
        self.write()
        return build_index(load_site(self.folder), SMALL)


def list_reasons(report: CheckReport) -> dict[int | None, list[str]]:
    """Row → the reasons of its faults, doubts and notes, in this order."""
    found: dict[int | None, list[str]] = {}
    for fault in (*report.faults, *report.doubts, *report.notes):
        found.setdefault(fault.row, []).append(fault.reason)
    return found


def run_check(folder: Path, capsys: Any) -> dict[str, Any]:
    """What the command says to a machine."""
    capsys.readouterr()
    run_app(app, ["check", str(folder), "--json", "--workers", "1"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document
