"""The whole path of one clip, from its file to its sample, over decoding the file alone.

    python -m benchmarks.processing [--frames 1000] [--repetitions 3] [--out FILE]

A dual view of 600 x 800 with speckle, breathing and a lesion that enhances, as Motion JPEG, MPEG-4, H.264 and DICOM of
JPEGs. Decoding alone is the shortest loop that yields every frame: PyAV's, by one thread as ours; for DICOM also
pydicom's iter_pixels and cv2.imdecode of the same JPEGs. `taskset -c 1` holds both to one core; the ratio of processor
time is the one to read on a busy machine.
"""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.decoding import decoders
from benchmarks.measuring import arguments, busy_ratio, in_turn, publish, quiet, ratio
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import CLINICAL
from client.data.analysis.pipeline import build_sample
from client.data.forms.site_config import load_site
from client.data.table.rows import ClipSpec, OutlineSpec, Row
from sim.hospital.screens import MAKERS, TINTS, Layout
from sim.hospital.writers import Geometry, Identity, write_dicom, write_video

U8 = npt.NDArray[np.uint8]
ROWS, COLUMNS, TOP, RATE_HZ = 600, 800, 80, 20.0
LAYOUT = Layout(ROWS, COLUMNS, 60, (10, TOP, 390, 560), (410, TOP, 790, 560))
PANE = (480, 380)
CENTER, RADIUS = (250, 190), 55
SITE = f"""\
schema: 1
center: 40
name: Hospital 40
screens:
  - {{manufacturer: "*", rows: {ROWS}, columns: {COLUMNS}, tint: gold,
      contrast: [10, {TOP}, 390, 560], bmode: [410, {TOP}, 790, 560]}}
"""


def main() -> None:
    """Make the clips, time both ways in turn, report."""
    given = arguments(__doc__, frames=1000, repetitions=3)
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row for path in made(Path(folder), given.frames) for row in timed(path, given.frames, given.repetitions)
        ]
    head = ("format", "decoding alone by", "whole path, s", "decoding alone, s", "ratio", "of processor time")
    publish(f"{given.frames} frames of {ROWS} x {COLUMNS}; aim: ratio at most 1.3", head, rows, given.out)


def timed(path: Path, frames: int, repetitions: int) -> list[tuple[object, ...]]:
    """One row a way of decoding."""
    site = load_site(path.parent)
    row = row_of(path, frames)
    ways = decoders(path)
    calls: dict[str, Callable[[], object]] = {"whole": lambda: build_sample(row, site, Processing()), **ways}
    in_turn(calls, 1)
    times = in_turn(calls, repetitions)
    whole = times["whole"]
    return [
        (path.name, way, whole, times[way], *(round(of(whole, times[way]), 2) for of in (ratio, busy_ratio)))
        for way in ways
    ]


def made(folder: Path, frames: int) -> list[Path]:
    """The clip as Motion JPEG, MPEG-4, H.264 and DICOM, in a hospital folder of its own."""
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = np.stack([10 + CENTER[1] + RADIUS * np.cos(angle), TOP + CENTER[0] + RADIUS * np.sin(angle)], axis=1)
    shapes = [{"label": "lesion", "points": points.tolist(), "shape_type": "polygon"}]
    outline = {"shapes": shapes, "imageHeight": ROWS, "imageWidth": COLUMNS}
    (folder / "outline.json").write_text(json.dumps(outline), encoding="utf-8")
    paths = [folder / name for name in ("clip.avi", "clip.mp4", "h264.mp4", "clip.dcm")]
    for path in paths[:2]:
        write_video(path, screens(frames), RATE_HZ)
    _write_h264(paths[2], screens(frames))
    born, taken = datetime.date(1950, 1, 1), datetime.date(2021, 5, 6)
    identity = Identity("NOBODY", "0", born, taken, "F", "Hospital 40", "L1", 1)
    form = (Geometry(LAYOUT, 0.3, regions=True), "jpeg", 90)
    write_dicom(paths[3], screens(frames), np.arange(frames) / RATE_HZ, identity, MAKERS["Philips"], form)
    return paths


def _write_h264(path: Path, pictures: Iterator[U8]) -> None:
    """As exports write MP4 nowadays, at x264's own settings."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=int(RATE_HZ))
        stream.height, stream.width, stream.pix_fmt = ROWS, COLUMNS, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def row_of(path: Path, frames: int) -> Row:
    """The table's row; the annotated frame is the middle one."""
    return Row(
        line=2,
        lesion_id="L1",
        patient_id="P1",
        exam_date=datetime.date(2021, 5, 6),
        cohort="training_b",
        label="HM",
        clips=(ClipSpec(path, 5.0),),
        frame_rate_hz=RATE_HZ,
        outline=OutlineSpec(path.parent / "outline.json", frames // 2, "contrast"),
        manufacturer="unknown",
        biomarkers=(float("nan"),) * 4,
        clinical=(1.0,) * len(CLINICAL),
        groups={},
    )


def screens(frames: int) -> Iterator[U8]:
    """Screens RGB (h w 3): gold contrast pane on the left whose speckle refreshes, still tissue on the right."""
    draw = np.random.default_rng(7)
    margin = 24
    size = (PANE[0] + 2 * margin, PANE[1] + 2 * margin)
    tissue, bubbles = _speckle(draw, size), [_speckle(draw, size) for _ in range(16)]
    y, x = np.mgrid[: size[0], : size[1]]
    lesion = np.hypot(y - margin - CENTER[0], x - margin - CENTER[1]) < RADIUS
    tissue = np.where(lesion, tissue * 0.6, tissue)
    for number in range(frames):
        second = number / RATE_HZ
        after = max(second - 8.0, 1e-3)
        level = np.where(lesion, np.exp(-0.5 * (np.log(after / 14) / 0.6) ** 2), 0.7 * (1 - np.exp(-after / 20)))
        breath = 9.0 * np.sin(np.pi * second / 4.1) ** 4
        top, left = (round(margin + share * (breath - 4.5)) for share in (0.9, 0.4))
        cut = (slice(top, top + PANE[0]), slice(left, left + PANE[1]))
        screen = np.zeros((ROWS, COLUMNS, 3), np.uint8)
        screen[: LAYOUT.banner] = (18, 20, 26)
        contrast = (bubbles[number % 16] * (0.1 + 0.9 * level)).astype(np.uint8)
        _paste(screen, LAYOUT.contrast, TINTS["gold"][contrast[cut]])
        _paste(screen, LAYOUT.bmode, tissue[cut].astype(np.uint8)[:, :, None])
        yield screen


def _paste(screen: U8, box: tuple[int, int, int, int] | None, pixels: U8) -> None:
    if box is not None:
        screen[box[1] : box[3], box[0] : box[2]] = pixels


def _speckle(draw: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Log-compressed Rayleigh speckle, levels 0-255."""
    parts = [cv2.GaussianBlur(draw.standard_normal(size, dtype=np.float32), (0, 0), 1.4) for _ in range(2)]
    power = parts[0] ** 2 + parts[1] ** 2
    decibels = 10 * np.log10(power / power.mean() + 1e-6)
    return np.asarray(np.clip((decibels + 35) / 45 * 255, 0, 255), dtype=np.float32)


if __name__ == "__main__":
    main()
