"""What a scan found, as tables in the site's work folder: every clip, and every file that could not be read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.csv_cells import format_csv
from client.data.scan.draft import NamedExam
from client.data.scan.exams import ScannedClip

CLIPS_TABLE, UNREAD_TABLE = "clips.csv", "unread.csv"
_CLIP_HEADER = (
    *("exam", "patient", "clip", "place", "frames", "seconds", "rows", "columns", "panes", "panes_from", "tint"),
    *("manufacturer", "contrast", "why", "arrival_s", "likely_reference_frame"),
)


def write_clips(folder: Path, exams: Sequence[NamedExam]) -> Path:
    """A row a clip. Raises OSError."""
    rows = [
        _describe_clip(named, number, clip) for named in exams for number, clip in enumerate(named.exam.clips, start=1)
    ]
    return _write(folder / CLIPS_TABLE, _CLIP_HEADER, rows)


def _describe_clip(named: NamedExam, number: int, clip: ScannedClip) -> tuple[object, ...]:
    exam, found = named.exam, clip.finding
    return (
        *(f"{exam.number:04d}", f"P{exam.patient:04d}", number, named.places.get(clip.stamp, "")),
        *(found.frames, found.seconds, found.rows, found.columns, found.panes, found.layout, found.tint),
        *(clip.owner.manufacturer, found.contrast, found.why),
        *("" if found.arrival_s is None else found.arrival_s, found.reference),
    )


def write_unread(folder: Path, unread: Iterable[tuple[str, str, str]]) -> Path:
    """A row a file that may be a clip and cannot be used, by its path from the export: (path, reason, what was found).

    The one file of a scan with names of the export, which may hold a patient's: without them nobody finds the file.
    """
    rows = [(show_path(path), reason, found) for path, reason, found in sorted(unread)]
    return _write(folder / UNREAD_TABLE, ("file", "reason", "found"), rows)


def show_path(path: str) -> str:
    """A path for a person: as UTF-8, else as GB18030, else with its bytes spelt out."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return os.fsencode(path).decode(encoding)
        except UnicodeDecodeError:
            continue
    return path.encode("utf-8", errors="backslashreplace").decode()


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    write_atomically(path, format_csv([header, *rows]).encode("utf-8-sig"))
    return path
