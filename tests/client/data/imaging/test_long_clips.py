"""Long clips of a whole screen: the memory of a worker is that of a short one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_clips import write_dicom
from small_hospital import SmallHospital

ROWS, COLUMNS = 600, 800
SITE = """\
schema: 1
center: 40
name: Hospital 40
screens:
  - {manufacturer: "*", rows: 600, columns: 800, tint: grey,
      contrast: [10, 80, 390, 560], bmode: [410, 80, 790, 560]}
"""


def pictures() -> list[bytes]:
    """JPEGs of dual views with speckle, a lesion that is brighter in each, and tissue that stays."""
    draw = np.random.default_rng(2)
    tissue = cv2.GaussianBlur(draw.integers(0, 255, (480, 380)).astype(np.float32), (0, 0), 1.5)
    found = []
    for number in range(32):
        screen = np.zeros((ROWS, COLUMNS), np.float32)
        screen[80:560, 10:390] = cv2.GaussianBlur(draw.integers(0, 160, (480, 380)).astype(np.float32), (0, 0), 1.5)
        cv2.circle(screen, (200, 330), 55, 80.0 + 5 * number, -1)
        screen[80:560, 410:790] = tissue + draw.normal(0, 3, tissue.shape)
        grey = np.clip(screen, 0, 255).astype(np.uint8)
        found.append(cv2.imencode(".jpg", cv2.merge([grey] * 3))[1].tobytes())
    return found


def peak_mb(folder: Path, frames: int) -> float:
    """Of the worker that reads a clip of so many frames."""
    folder.mkdir()
    hospital = SmallHospital(folder, 1)
    (folder / "site.yaml").write_text(SITE)
    shown = pictures()
    course = [shown[min(number * 64 // frames, 31)] for number in range(frames)]
    course[1::2] = [shown[min(number * 64 // frames, 31) - 1] for number in range(1, frames, 2)]  # no picture repeats
    tags = {"FrameTime": 50.0, "NumberOfFrames": frames, "Rows": ROWS, "Columns": COLUMNS}
    write_dicom(folder / "clips" / "long.dcm", course, "YBR_FULL_422", tags, "1.2.840.10008.1.2.4.50")
    points = [[150, 280], [250, 280], [250, 380], [150, 380]]
    shapes = [{"label": "lesion", "points": points, "shape_type": "polygon"}]
    outline = {"shapes": shapes, "imageHeight": ROWS, "imageWidth": COLUMNS}
    hospital.path(0, "outline").write_text(json.dumps(outline))
    hospital.rows[0] |= {"clips": "clips/long.dcm", "frame_rate_hz": "20", "outline_frame": f"{frames // 2}"}
    hospital.rows[0]["clip_checked"] = "yes"  # it begins bright
    hospital.write()
    script = Path(__file__).parents[3] / "support" / "peak_of_index.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), str(folder)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    made, peak = told.split()
    assert made == "1"
    return float(peak)


@pytest.mark.slow
def test_a_worker_stays_below_a_gib_and_does_not_grow(tmp_path: Path) -> None:
    """The panes of 4,000 frames have 1,390 MiB."""
    short, long = (peak_mb(tmp_path / str(frames), frames) for frames in (1000, 4000))
    assert long < 1024
    assert long - short < 64
