"""`ceus-site index` over a folder of long clips, over decoding the same files alone in as many processes.

    python -m benchmarks.indexing [--frames 1000] [--clips 4] [--workers 2] [--repetitions 3] [--out FILE]

Both sides start worker processes of the same kind and hand them one file at a time. Memory is the most that one worker
had resident at any time. On a busy machine the ratio of processor time is the one to read. Decoding is done in the
fastest way of `benchmarks.decoding`, and by as many threads a process as its library likes.
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
from client.data.forms.columns import EXAM_COLUMNS

LIMIT_MB = 1024


def main() -> None:
    """Make the clips, index and decode them in turn, report."""
    given = arguments(__doc__, frames=1000, clips=4, workers=2, repetitions=3)
    quiet()
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        for path in made(Path(name), given.frames):
            write_table(path, given.clips, given.frames)
            rows.append(measured(path, given.clips, given.workers, given.repetitions))
    head = ("format", "decoding alone by", "index, s", "decoding alone, s", "ratio", "of processor time", "worker, MB")
    title = f"{given.clips} clips of {given.frames} frames, {ROWS} x {COLUMNS}, {given.workers} workers"
    publish(f"{title}; aim: ratio at most 1.5, at most {LIMIT_MB} MB", head, rows, given.out)


def measured(path: Path, clips: int, workers: int, repetitions: int) -> tuple[object, ...]:
    """The row of one format."""
    way = list(decoders(path))[-1]
    whole, alone, most = Times(), Times(), 0.0
    for _ in range(repetitions):
        for taken, what in ((whole, INDEX), (alone, way)):
            found = run(path, (clips, workers), what)
            taken.seconds.append(found["seconds"])
            taken.busy.append(found["busy"])
            most = max(most, found["mb"] if what == INDEX else 0.0)
    ratios = (round(of(whole, alone), 2) for of in (ratio, busy_ratio))
    return (path.suffix[1:], way, whole, alone, *ratios, round(most))


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
