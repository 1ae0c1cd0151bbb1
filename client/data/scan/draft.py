"""The draft of the table: a row an exam, with its clips under neutral names and what remains to be written.

A clip of the table lies in the site's folder. Clips of an export are named there by links, or by copies, whose names
hold a number and a digest, so that no name of a patient comes into the table from the names of folders.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import TEMPORARY_PREFIX, replace_file, write_atomically
from ceus_models.runtime.csv_cells import format_csv
from client.data.forms.columns import LESIONS
from client.data.scan.enhancement import YES
from client.data.scan.exams import ScannedClip, ScannedExam

DRAFT_FILE = "lesions.draft.csv"
CLIP_FOLDER = "clips/scan"
TO_WRITE, REFERENCE = "to_write", "likely_reference_frame"
_EXTRA = (REFERENCE, TO_WRITE)
"""Columns for whoever fills the draft; `check` passes them over."""
_DRAFTS_KEPT = 100
_NAME_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class NamedExam:
    """An exam whose clips have a place in the site's folder: stamp of the clip → path from the folder."""

    exam: ScannedExam
    places: Mapping[str, str]


def place_clips(folder: Path, exams: Sequence[ScannedExam], copy: bool) -> list[NamedExam]:
    """Link the clips that show contrast into the folder, or copy them. Raises OSError."""
    target = folder / CLIP_FOLDER
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    named = []
    for exam in exams:
        places = {}
        for clip in exam.contrast_clips:
            name = f"{exam.number:04d}-{clip.identity[:_NAME_CHARACTERS]}{clip.suffix}"
            _place(target / name, clip, copy)
            places[clip.stamp] = f"{CLIP_FOLDER}/{name}"
        named.append(NamedExam(exam, places))
    return named


def _place(path: Path, clip: ScannedClip, copy: bool) -> None:
    if copy:
        if path.is_symlink() or not path.exists() or path.stat().st_size != clip.file.size:
            with replace_file(path) as draft:
                shutil.copyfile(clip.file.path, draft)
        return
    if path.is_file() and not path.is_symlink():
        return  # a copy outlasts the medium that it came from
    source = Path(clip.file.path)
    inside = source.is_relative_to(path.parents[2])
    wanted = os.path.relpath(source, path.parent) if inside else str(source)
    if path.is_symlink() and str(path.readlink()) == wanted:
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=path.parent) as made:
        link = Path(made, path.name)
        link.symlink_to(wanted)
        link.replace(path)


def write_draft(folder: Path, exams: Sequence[NamedExam], memory: Path, export: str) -> Path:
    """Write the draft beside the table. A draft that a person has changed, or that is of another export, is kept, and
    the new one gets a number.

    Args:
        memory: File that remembers the name and digest of what was written for each export.
        export: Digest of the export's path.

    Raises OSError.
    """
    content = format_draft(exams)
    written = _read_memory(memory)
    path = _find_free(folder, content, written.get(export, ("", "")))
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content)
    written[export] = (path.name, hashlib.sha256(content).hexdigest())
    write_atomically(memory, json.dumps(written).encode())
    return path


def _read_memory(memory: Path) -> dict[str, tuple[str, str]]:
    try:
        return {
            str(export): (str(name), str(digest)) for export, (name, digest) in json.loads(memory.read_bytes()).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _find_free(folder: Path, content: bytes, written: tuple[str, str]) -> Path:
    """The draft's own path where nothing would be lost, else the first numbered one where nothing would be."""
    stem, suffix = DRAFT_FILE.rsplit(".", 1)
    names = [DRAFT_FILE, *(f"{stem}-{number}.{suffix}" for number in range(2, _DRAFTS_KEPT))]
    for name in names:
        path = folder / name
        there = path.read_bytes() if path.exists() else content
        if there == content or (name, hashlib.sha256(there).hexdigest()) == written:
            return path
    raise OSError(errno.EEXIST, f"{_DRAFTS_KEPT} drafts that people changed are there")


def format_draft(exams: Sequence[NamedExam]) -> bytes:
    """UTF-8 with a byte order mark, as the forms of `ceus-site init`."""
    return format_table([fill_row(named) for named in exams if named.places])


def format_table(rows: Sequence[Mapping[str, str]]) -> bytes:
    """A table of rows, each column → text, in the form of the draft."""
    names = (*(column.name for column in LESIONS), *_EXTRA)
    header = [*(column.header for column in LESIONS), *_EXTRA]
    return format_csv([header, *([row.get(name, "") for name in names] for row in rows)]).encode("utf-8-sig")


def fill_row(named: NamedExam) -> dict[str, str]:
    """The cells of an exam that are known, by column, and what remains to be written."""
    exam, clips = named.exam, named.exam.contrast_clips
    starts = _propose_starts(clips)
    empty = ["outline", "fll_type"]
    empty += [] if exam.date else ["exam_date"]
    empty += [] if exam.manufacturer else ["manufacturer"]
    empty += [] if starts or len(clips) == 1 else ["clip_start_s"]
    empty += ["frame_rate_hz"] if any(clip.video for clip in clips) else []
    look = [f"look at {text}" for text in exam.doubts]
    look += _doubt_contrast(clips)
    look += (
        ["look at clip_start_s: by the clocks of the files, the first clip begun at the injection"] if starts else []
    )
    return {
        "lesion_id": f"L{exam.number:04d}",
        "patient_id": f"P{exam.patient:04d}",
        "exam_date": exam.date,
        "manufacturer": exam.manufacturer,
        "clips": ";".join(named.places[clip.stamp] for clip in clips),
        "clip_start_s": starts,
        REFERENCE: str(clips[0].finding.reference),
        TO_WRITE: "; ".join([f"write {', '.join(empty)}", *look]),
    }


def _doubt_contrast(clips: Sequence[ScannedClip]) -> list[str]:
    """What a person must look at in the clips themselves."""
    unsure = [f"clip {n}: {c.finding.why}" for n, c in enumerate(clips, start=1) if c.finding.contrast != YES]
    if all(clip.finding.arrival_s is None for clip in clips):
        unsure.append("in no clip the contrast agent is seen to arrive")
    return [f"look at clips: {text}" for text in unsure]


def _propose_starts(clips: Sequence[ScannedClip]) -> str:
    """Start times from the files' clocks, "" where they do not fit to the lengths of the clips."""
    clocks = [clip.clock_s for clip in clips]
    known = [clock for clock in clocks if clock is not None]
    if len(clips) < 2 or len(known) < len(clips):
        return ""
    starts = [clock - known[0] for clock in known]
    lasts = [start + clip.finding.seconds for start, clip in zip(starts, clips, strict=True)]
    fitting = all(last <= after for last, after in zip(lasts, starts[1:], strict=False))
    return ";".join(f"{start:g}" for start in starts) if fitting else ""
