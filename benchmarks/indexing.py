"""`ceus-site index` over a folder of long clips, over decoding the same files alone in as many processes.

    python -m benchmarks.indexing [--frames 1000] [--clips 4] [--workers 2] [--repetitions 3] [--out FILE]

Both sides start worker processes of the same kind and hand them one file at a time. Memory is the most that one worker
had resident at any time. On a busy machine the ratio of processor time is the one to read.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.decoding import decoders
from benchmarks.indexed import INDEX
from benchmarks.measuring import Times, arguments, busy_ratio, publish, quiet, ratio
from benchmarks.processing import COLUMNS, RATE_HZ, ROWS, made
from client.columns import EXAM_COLUMNS

LIMIT_MB = 1024


def main() -> None:
    """Make the clips, index and decode them in turn, report."""
    given = arguments(__doc__, frames=1000, clips=4, workers=2, repetitions=3)
    quiet()
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        for path in made(Path(name), given.frames):
            write_table(path, given.clips, given.frames)
            rows += measured(path, given.clips, given.workers, given.repetitions)
    head = ("format", "decoding alone by", "index, s", "decoding alone, s", "ratio", "of processor time", "worker, MB")
    title = f"{given.clips} clips of {given.frames} frames, {ROWS} x {COLUMNS}, {given.workers} workers"
    publish(f"{title}; aim: ratio at most 1.5, at most {LIMIT_MB} MB", head, rows, given.out)


def measured(path: Path, clips: int, workers: int, repetitions: int) -> list[tuple[object, ...]]:
    """One row a way of decoding."""
    times = {way: Times() for way in (INDEX, *decoders(path))}
    most = 0.0
    for _ in range(repetitions):
        for way, taken in times.items():
            found = run(path, (clips, workers), way)
            taken.seconds.append(found["seconds"])
            taken.busy.append(found["busy"])
            most = max(most, found["mb"] if way == INDEX else 0.0)
    whole = times.pop(INDEX)
    return [
        (
            path.suffix[1:],
            way,
            whole,
            alone,
            round(ratio(whole, alone), 2),
            round(busy_ratio(whole, alone), 2),
            round(most),
        )
        for way, alone in times.items()
    ]


def run(path: Path, sizes: tuple[int, int], way: str) -> dict[str, float]:
    """Seconds and MB of one run in a fresh process. sizes: clips and workers."""
    given = [path.parent, path.name, *sizes, way]
    command = [sys.executable, "-m", "benchmarks.indexed", *map(str, given)]
    found: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def write_table(path: Path, clips: int, frames: int) -> None:
    """The hospital's table: so many lesions of one patient, all on this clip."""
    row = {"patient_id": "P1", "exam_date": "2021-05-06", "fll_type": "HM", "clip_start_s": "5"}
    row |= {"clips": path.name, "frame_rate_hz": f"{RATE_HZ:g}", "outline": "outline.json"}
    row |= {"outline_frame": f"{frames // 2}", "outline_pane": "contrast"}
    with (path.parent / "lesions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, EXAM_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({"lesion_id": f"L{number}", **row} for number in range(clips))


if __name__ == "__main__":
    main()
