"""Group the clips of an export by exam and patient, without their ids, and number them in the hospital's own order."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePath

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.study.subgroups import UNKNOWN
from client.data.imaging.dicom.exam_header import ExamHeader, make_digest
from client.data.scan.clip_look import ClipFinding
from client.data.scan.enhancement import NO
from client.data.scan.walk import FoundFile

_MANY_EXAMS = 8
"""Exams of one patient beyond which its id may be what an anonymisation wrote into every file."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The exam that a file is of.

    Attributes:
        exam, patient: Keyed digests.
        date: YYYY-MM-DD, "" where it is not stated.
        manufacturer: Normalised name, "unknown" where it is not stated.
        of_folder: Whether the folder told the patient, since the file does not.
    """

    exam: str
    patient: str
    date: str
    manufacturer: str
    of_folder: bool


@dataclass(frozen=True, slots=True)
class ScannedClip:
    """A clip that could be decoded.

    Attributes:
        stamp: By which its file is known.
        identity: The same for copies of one recording.
        owner: The exam that it is of.
        clock_s: Time of its recording, seconds of the day; None where it is not stated.
        video: Whether it is no DICOM file.
    """

    file: FoundFile
    stamp: str
    suffix: str
    identity: str
    owner: Owner
    clock_s: float | None
    video: bool
    finding: ClipFinding


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
    """Whose a file is that does not say it: of the one exam beside it, else the folder is the exam.

    Attributes:
        exams: Folder → the exams of the ultrasound DICOM files in it, by digest.
        key: Of the digests.
    """

    exams: Mapping[str, Mapping[str, Owner]]
    key: bytes

    @classmethod
    def gather(cls, headers: Iterable[tuple[FoundFile, ExamHeader]], key: bytes) -> Owners:
        """From all ultrasound files of an export, stills too."""
        found: dict[str, dict[str, Owner]] = defaultdict(dict)
        for file, header in headers:
            if header.ultrasound and header.study:
                found[_find_folder(file)].setdefault(header.study, _name_owner(header))
        return cls(found, key)

    def find(self, file: FoundFile, header: ExamHeader | None) -> Owner:
        """The exam of a file."""
        if header is not None and header.study:
            return _name_owner(header)
        folder = _find_folder(file)
        beside = self.exams.get(folder, {})
        if len(beside) == 1:
            return replace(next(iter(beside.values())), of_folder=True)
        digest = make_digest(self.key, "folder", folder)
        told = ("", UNKNOWN) if header is None else (header.date, header.manufacturer)
        return Owner(digest, digest, *told, of_folder=True)


def _name_owner(header: ExamHeader) -> Owner:
    patient = header.patient or header.study
    return Owner(header.study, patient, header.date, header.manufacturer, of_folder=not header.patient)


def _find_folder(file: FoundFile) -> str:
    return str(PurePath(file.path).parent)


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
    ordered = sorted(clips, key=lambda clip: clip.owner.exam)
    groups = [list(found) for _, found in groupby(ordered, key=lambda clip: clip.owner.exam)]
    groups.sort(key=lambda found: min(clip.file.path for clip in found))
    exams = Counter(found[0].owner.patient for found in groups)
    return sorted((_build_exam(found, numbers, exams) for found in groups), key=lambda exam: exam.number)


def _build_exam(clips: Sequence[ScannedClip], numbers: Numbers, exams: Mapping[str, int]) -> ScannedExam:
    owners = [clip.owner for clip in clips]
    patients = Counter(owner.patient for owner in owners)
    patient = patients.most_common(1)[0][0]
    dates, makers = {owner.date for owner in owners} - {""}, {owner.manufacturer for owner in owners} - {UNKNOWN}
    doubts = []
    if any(owner.of_folder for owner in owners):
        doubts.append("patient_id: told by the folder, the files do not say it")
    if len(patients) > 1:
        doubts.append("patient_id: the files of the exam say several")
    if exams[patient] > _MANY_EXAMS:
        doubts.append(f"patient_id: {exams[patient]} exams have the same one, is it a placeholder?")
    if len(dates) > 1:
        doubts.append("exam_date: the files say several")
    return ScannedExam(
        number=numbers.find("exam", owners[0].exam),
        patient=numbers.find("patient", patient),
        date=dates.pop() if len(dates) == 1 else "",
        manufacturer=makers.pop() if len(makers) == 1 else "",
        clips=tuple(sorted(clips, key=_find_place)),
        doubts=tuple(doubts),
    )


def _find_place(clip: ScannedClip) -> tuple[float, str]:
    return (float("inf") if clip.clock_s is None else clip.clock_s), clip.file.path
