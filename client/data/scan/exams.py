"""Group the clips of an export by exam and patient, without their ids, and number them in the hospital's own order."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ceus_models.runtime.atomic_files import write_atomically
from client.data.imaging.dicom.exam_header import ExamHeader, make_digest
from client.data.scan.clip_look import ClipFinding
from client.data.scan.enhancement import NO
from client.data.scan.walk import FoundFile

_MANY_EXAMS = 8
"""Exams of one patient beyond which its id may be what an anonymisation wrote into every file."""


@dataclass(frozen=True, slots=True)
class ScannedClip:
    """A clip that could be decoded.

    Attributes:
        stamp: By which its file is known.
        identity: The same for copies of one recording.
        header: None for a video.
        of_folder: Whether its exam is told by its folder, since the file does not say it.
    """

    file: FoundFile
    stamp: str
    suffix: str
    identity: str
    exam: str
    patient: str
    header: ExamHeader | None
    finding: ClipFinding
    of_folder: bool


@dataclass(frozen=True, slots=True)
class ScannedExam:
    """One exam: what becomes a row of the draft.

    Attributes:
        number, patient: Running numbers, which stay the same in later scans.
        date: YYYY-MM-DD; "" where no file or several days say it.
        manufacturer: Normalised name, "" where it is not known.
        clips: In the order of their recording.
        doubts: What a person must look at, in words.
    """

    number: int
    patient: int
    date: str
    manufacturer: str
    clips: tuple[ScannedClip, ...]
    doubts: tuple[str, ...]

    @property
    def contrast_clips(self) -> tuple[ScannedClip, ...]:
        """The clips that show contrast, or perhaps do."""
        return tuple(clip for clip in self.clips if clip.finding.contrast != NO)


class Numbers:
    """Running numbers of exams and patients by their keyed digests, kept in a file so that they stay."""

    def __init__(self, path: Path) -> None:
        """Load them; none where the file is missing."""
        self._path = path
        self._known: dict[str, dict[str, int]] = {"exam": {}, "patient": {}}
        if path.exists():
            self._known |= json.loads(path.read_text(encoding="ascii"))

    def find(self, kind: str, digest: str) -> int:
        """The number of an exam or a patient; the next one for one that is new."""
        known = self._known[kind]
        return known.setdefault(digest, len(known) + 1)

    def save(self) -> None:
        """Keep them. Raises OSError."""
        write_atomically(self._path, json.dumps(self._known).encode())


@dataclass(frozen=True)
class Owners:
    """Whose a file is that does not say it: the folder's one exam, else the folder is the exam.

    Attributes:
        exams: Folder → (exam, patient) of the ultrasound DICOM files in it.
        key: Of the digests.
    """

    exams: Mapping[str, frozenset[tuple[str, str]]]
    key: bytes

    @classmethod
    def gather(cls, headers: Iterable[tuple[FoundFile, ExamHeader]], key: bytes) -> Owners:
        """From all ultrasound files of an export, stills too."""
        found: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for file, header in headers:
            if header.study:
                found[os.path.dirname(file.path)].add((header.study, header.patient or header.study))  # noqa: PTH120
        return cls({folder: frozenset(exams) for folder, exams in found.items()}, key)

    def find(self, file: FoundFile, header: ExamHeader | None) -> tuple[str, str, bool]:
        """Exam, patient, and whether the folder told them."""
        if header is not None and header.study:
            return header.study, header.patient or header.study, not header.patient
        folder = os.path.dirname(file.path)  # noqa: PTH120
        beside = self.exams.get(folder, frozenset())
        if len(beside) == 1:
            return *next(iter(beside)), True
        digest = make_digest(self.key, "folder", folder)
        return digest, digest, True


def drop_copies(clips: Iterable[ScannedClip]) -> tuple[list[ScannedClip], int]:
    """Each recording once, and how many copies were left out."""
    first: dict[str, ScannedClip] = {}
    copies = 0
    for clip in clips:
        copies += clip.identity in first
        first.setdefault(clip.identity, clip)
    return list(first.values()), copies


def group_exams(clips: Sequence[ScannedClip], numbers: Numbers) -> list[ScannedExam]:
    """The exams in the order of their numbers."""
    ordered = sorted(clips, key=lambda clip: clip.exam)
    groups = [list(found) for _, found in groupby(ordered, key=lambda clip: clip.exam)]
    groups.sort(key=lambda found: min(clip.file.path for clip in found))
    owners = Counter(found[0].patient for found in groups)
    return sorted((_build_exam(found, numbers, owners) for found in groups), key=lambda exam: exam.number)


def _build_exam(clips: Sequence[ScannedClip], numbers: Numbers, owners: Mapping[str, int]) -> ScannedExam:
    headers = [clip.header for clip in clips if clip.header is not None]
    patients = Counter(clip.patient for clip in clips)
    patient = patients.most_common(1)[0][0]
    dates, makers = (
        {header.date for header in headers} - {""},
        {header.manufacturer for header in headers} - {"unknown"},
    )
    doubts = []
    if any(clip.of_folder for clip in clips):
        doubts.append("patient_id: told by the folder, the files do not say it")
    if len(patients) > 1:
        doubts.append("patient_id: the files of the exam say several")
    if owners[patient] > _MANY_EXAMS:
        doubts.append(f"patient_id: {owners[patient]} exams have the same one, is it a placeholder?")
    if len(dates) > 1:
        doubts.append("exam_date: the files say several")
    return ScannedExam(
        number=numbers.find("exam", clips[0].exam),
        patient=numbers.find("patient", patient),
        date=dates.pop() if len(dates) == 1 else "",
        manufacturer=makers.pop() if len(makers) == 1 else "",
        clips=tuple(sorted(clips, key=_find_place)),
        doubts=tuple(doubts),
    )


def _find_place(clip: ScannedClip) -> tuple[float, str]:
    clock = None if clip.header is None else clip.header.clock_s
    return (float("inf") if clock is None else clock), clip.file.path
