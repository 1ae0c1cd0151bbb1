"""A small hospital folder of real AVI files, for the tests of what reads it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ceus_models.study.taxonomy import CLINICAL
from client.data.table.header import COLUMNS
from tests.support.open_policy import open_text

ROWS, COLUMNS_PX, FRAMES = 96, 160, 24
PEAK, RATE_HZ = 12, 2
CONTRAST_BOX, BMODE_BOX = (0, 16, 80, 96), (80, 16, 160, 96)
SITE = """\
schema: 1
center: 40
name: Hospital 40
screens:
  - {manufacturer: "*", rows: 96, columns: 160, contrast: [0, 16, 80, 96], bmode: [80, 16, 160, 96]}
"""
POLICY = open_text()
UNITS = {variable.name: variable.unit for variable in CLINICAL if variable.unit}
HEADER = [f"{name} ({UNITS[name]})" if name in UNITS else name for name in COLUMNS]


def write_avi(path: Path, rows: int = ROWS, patient: int = 0) -> None:
    """A dual view: a lesion that enhances and fades in a patient's own liver on the left, still tissue on the right."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (COLUMNS_PX, rows))
    for picture in make_pictures(patient, rows):
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()


def make_pictures(patient: int, rows: int = ROWS) -> npt.NDArray[np.uint8]:
    """The pictures of `write_avi` (t h w 3) in RGB."""
    pictures = []
    draw = np.random.default_rng((3, patient))
    tissue, liver = (
        cv2.GaussianBlur(draw.integers(0, 255, (rows, COLUMNS_PX // 2)).astype(np.float32), (0, 0), sigma)
        for sigma in (1.5, 3.0)
    )
    liver = np.clip(0.3 + (liver - liver.mean()) / (4 * liver.std()), 0, 1)
    lesion = np.zeros((rows, COLUMNS_PX // 2), np.float32)
    cv2.ellipse(lesion, (35, 55), (15, 15), 0, 0, 360, 1.0, -1)
    for number in range(FRAMES):
        level = 200 * np.exp(-(((number - PEAK) / 5) ** 2))
        contrast = np.clip(np.maximum(lesion, liver) * level + draw.integers(5, 30, lesion.shape), 0, 255)
        frame = np.repeat(np.hstack([contrast, tissue])[..., None], 3, axis=2)
        frame[..., 2] *= 1 - 0.5 * (np.arange(COLUMNS_PX) < COLUMNS_PX // 2)  # gold is poor in blue
        pictures.append(frame.astype(np.uint8))
    return np.stack(pictures)


def write_outline(path: Path, x: int = 20, y: int = 40) -> None:
    points = [[x, y], [x + 30, y], [x + 30, y + 30], [x, y + 30]]
    shapes = [{"label": "lesion", "points": points, "shape_type": "polygon"}]
    path.write_text(json.dumps({"shapes": shapes, "imageHeight": ROWS, "imageWidth": COLUMNS_PX}), encoding="utf-8")


class SmallHospital:
    """A hospital of real AVI files; `rows` is spoilt by the tests before `write`."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        (folder / "clips").mkdir()
        (folder / "outlines").mkdir()
        (folder / "site.yaml").write_text(SITE, encoding="utf-8")
        (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
        self.rows: list[dict[str, str]] = []
        for number in range(count):
            self.add(number)

    def add(self, number: int) -> None:
        clip, outline = f"clips/{number}.avi", f"outlines/{number}.json"
        write_avi(self.folder / clip, patient=number)  # the same pictures under two patients would be a leak
        write_outline(self.folder / outline)
        row = {"lesion_id": f"L{number}", "patient_id": f"P{number}", "exam_date": "2021-05-06", "fll_type": "HM"}
        row |= {"clips": clip, "clip_start_s": "5", "frame_rate_hz": str(RATE_HZ), "ALB": "40"}
        row |= {"outline": outline, "outline_frame": "8", "outline_pane": "contrast"}
        self.rows.append(row)

    def path(self, number: int, column: str) -> Path:
        return self.folder / self.rows[number][column]

    def write(self) -> Path:
        """Writes the table; the folder."""
        with (self.folder / "lesions.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows([[row.get(name, "") for name in COLUMNS] for row in self.rows])
        return self.folder
