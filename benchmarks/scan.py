"""From an export to a first table: `ceus-site init`, `scan`, what a person writes, `scan` again, and a clean `check`.

    python -m benchmarks.scan [--files 20000] [--exams 40] [--workers 2] [--out FILE] [--keep FOLDER]

The commands run as processes, as hospital IT types them; what a person would write comes from the phantoms' own table
and is counted in cells. Seconds and processor time are of each command with its workers, memory is the most that the
command and its workers had resident together.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.scan_export import MadeExport, make_export, read_table

COMMAND = ("-c", "from client.cli.main import main; main()")
_FILLED = (
    *("outline", "outline_frame", "outline_pane", "fll_type"),
    *("exam_date", "manufacturer", "clip_start_s", "frame_rate_hz"),
)


@dataclass
class Step:
    """One command. seconds: wall time; busy: processor time; memory_mb: of all its processes together."""

    command: str
    code: int
    seconds: float
    busy: float
    memory_mb: float
    said: str


def run(words: Sequence[object]) -> Step:
    """One command of `ceus-site`, watched."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as out:
        begun = time.perf_counter()
        running = subprocess.Popen(
            [sys.executable, *COMMAND, *map(str, words)], env=environment, stdout=out, stderr=out
        )
        most = 0.0
        while running.poll() is None:
            most = max(most, measure_family(running.pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - begun
        out.seek(0)
        said = out.read().decode(errors="replace")
    used = os.times()
    return Step(
        f"ceus-site {words[0]}", running.returncode, seconds, used.children_user + used.children_system, most, said
    )


def measure_family(pid: int) -> float:
    """MB resident of a process and all below it."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 2**20
    except psutil.Error:
        return 0.0


def fill_draft(folder: Path, made: MadeExport) -> tuple[int, int]:
    """What a person writes into the draft, saved as lesions.csv: (cells, rows)."""
    own = {Path(row["clips"]).stem.split("_")[0]: row for row in read_table(made.source)}
    draft = sorted(folder.glob("lesions.draft*.csv"), key=lambda path: path.stat().st_mtime)[-1]
    with draft.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = 0
    for row in rows:
        names = [(folder / place).resolve().name for place in row["clips"].split(";")]
        truth = next(own[name.split("_")[0]] for name in names if name.split("_")[0] in own)
        for column in _FILLED:
            if not row[column] and truth[column]:
                row[column] = truth[column]
                cells += 1
    shutil.copytree(made.source / "outlines", folder / "outlines", dirs_exist_ok=True)
    with (folder / "lesions.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return cells, len(rows)


def judge_contrast(folder: Path) -> dict[str, object]:
    """How many clips of contrast and of tissue (the only ones with one grey pane) got which verdict."""
    with (folder / ".ceus/scan/clips.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    verdicts = Counter((row["tint"] == "grey" and row["panes"] == "1", row["contrast"]) for row in rows)
    tissue = {word: count for (grey, word), count in verdicts.items() if grey}
    return {"contrast clips": {word: n for (grey, word), n in verdicts.items() if not grey}, "tissue clips": tissue}


def walk_as_it(made: MadeExport, folder: Path, workers: int) -> tuple[list[Step], Mapping[str, object]]:
    """The commands, in the order in which they are typed; steps are told as they end."""
    steps: list[Step] = []

    def take(*words: object) -> Step:
        before = sum(step.busy for step in steps)
        step = run(words)
        step.busy -= before
        steps.append(step)
        print(f"{step.command}: exit {step.code}, {step.seconds:.1f} s, {step.memory_mb:.0f} MB", flush=True)
        return step

    take("init", folder)
    first = take("scan", made.folder, folder, "--workers", workers)
    shutil.copy(made.source / "site.yaml", folder / "site.yaml")  # a person draws the screens that scan asked for
    second = take("scan", made.folder, folder, "--workers", workers)
    again = take("scan", made.folder, folder, "--workers", workers, "--json")
    cells, rows = fill_draft(folder, made)
    check = take("check", folder, "--json")
    found = json.loads(check.said[check.said.index("{") : check.said.rindex("}") + 1])
    told = {
        **judge_contrast(folder),
        "cells": cells,
        "rows": rows,
        "usable": found["usable"],
        "faults": found["reasons"],
    }
    return steps, {**told, "first": first.said, "second": second.said, "scan": again.said}


def main() -> None:
    """Make the export, walk it, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--exams", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="A new folder for the export and the site; else a temporary one.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        made = make_export(place, given.files, given.exams)
        print(
            f"made: {made.exams} exams, {made.clips} clips, {made.tissue} of tissue, {made.broken} broken files",
            flush=True,
        )
        steps, told = walk_as_it(made, place / "site", given.workers)
    lines = ["| command | s | s of processor | MB |", "|---|---|---|---|"]
    lines += [f"| `{one.command}` | {one.seconds:.1f} | {one.busy:.1f} | {one.memory_mb:.0f} |" for one in steps]
    lines += ["", json.dumps({name: value for name, value in told.items() if name not in ("first", "second", "scan")})]
    lines += ["", str(told["first"]), "", str(told["second"]), "", str(told["scan"])]
    text = "\n".join(lines)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
