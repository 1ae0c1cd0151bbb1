"""`ceus-site scan`: walk an export, read headers, decode clips, and write the draft of the table.

A scan that was stopped goes on where it was: what was found of a file is in the journals of the site's work folder.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.progress_bar import OnProgress
from client.data.forms.site_config import SiteConfig, read_secret
from client.data.imaging.dicom.dicomdir import list_referenced_files
from client.data.imaging.dicom.exam_header import make_digest
from client.data.imaging.recording import ClipError
from client.data.scan.clip_look import ClipFinding, ClipReader, ClipTask, describe_settings, look_at_clips
from client.data.scan.draft import CLIP_FOLDER, NamedExam, place_clips, write_draft
from client.data.scan.exams import Numbers, Owners, ScannedClip, drop_copies, group_exams
from client.data.scan.file_kinds import DAMAGED, EMPTY, OTHER_VIDEO
from client.data.scan.headers import CLIP, DAMAGED_DICOM, DIRECTORY, LOST, FileFinding, read_headers
from client.data.scan.journal import Journal, stamp_file
from client.data.scan.listing import write_clips, write_unread
from client.data.scan.scan_files import PICTURE_FOLDER, scan_folder
from client.data.scan.walk import FORBIDDEN, UNREACHABLE, VANISHED, FoundFile, Unwalked, walk_export

STAGING_FOLDER = "receiving"
"""Of the site's folder: studies that `ceus-site receive` does not have whole, which no scan looks at."""
LISTED, BAD_LIST = "named in a DICOMDIR, not there", "DICOMDIR that cannot be read"
_TOLD = (DAMAGED, EMPTY, OTHER_VIDEO, DAMAGED_DICOM, LOST, VANISHED, FORBIDDEN, UNREACHABLE, LISTED, BAD_LIST)
"""Kinds of files that may have been clips: each is listed by its path."""
_STEP = 500
_KINDS = "packed"
"""Marks what a file was found to be since packed DICOM files count as clips; older findings are made anew."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan found.

    Attributes:
        files: Files of the export.
        kinds: How many of each kind, the commonest first.
        faults: Clips that cannot be used, by reason of the fault catalogue.
        copies: Clips that were there a second time.
        exams: With their clips.
        draft: The draft of the table; None where no clip shows contrast.
        clips, unread: Tables in the work folder.
        pictures: Folder of the clips' pictures, each named by its stamp.
    """

    files: int
    kinds: Mapping[str, int]
    faults: Mapping[str, int]
    copies: int
    exams: tuple[NamedExam, ...]
    draft: Path | None
    clips: Path
    unread: Path
    pictures: Path


@dataclass(frozen=True)
class ScanJob:
    """An export and the site whose folder gets the draft.

    Attributes:
        copy: Whether clips are copied, instead of links to them being made.
        workers: Processes.
    """

    export: Path
    site: SiteConfig
    copy: bool
    workers: int

    @property
    def work(self) -> Path:
        """Folder of all that a scan keeps."""
        return scan_folder(self.site)


def scan_export(job: ScanJob, steps: Callable[[str], OnProgress]) -> ScanReport:
    """Walk, read, decode, write. steps: gives the progress of a step that it is told by name.

    Raises ExpectedError where the export cannot be read or another scan is at work, OSError where the site's folder
    cannot be written.
    """
    if not job.export.is_dir():
        raise ExpectedError(
            "expected a folder with an export, found none at this path; mount the drive, or mend the path"
        )
    key = read_secret(job.site)
    with _hold(job), Journal(job.work / "files.jsonl", _KINDS) as files:
        found, unwalked = _walk(job, steps("finding files"))
        kinds: Counter[str] = Counter(one.why for one in unwalked)
        unread = [(_name(job, one.path), one.why, "") for one in unwalked if one.why in _TOLD]
        seen = _read_all(job, found, (files, key), steps("reading headers"))
        kinds.update(finding.kind for _, finding in seen)
        unread += [(_name(job, file.path), finding.kind, "") for file, finding in seen if finding.kind in _TOLD]
        missing = list(_list_missing(seen, {file.path for file in found}))
        kinds.update(why for _, why in missing)
        unread += [(_name(job, path), why, "") for path, why in missing]
        clips, faulty = _look_at_all(job, seen, key, steps("looking at clips"))
        unread += [(_name(job, file.path), finding.fault, finding.found) for file, finding in faulty]
        numbers = Numbers(job.work / "numbers.json")
        once, copies = drop_copies(clips)
        exams = place_clips(job.site.folder, group_exams(once, numbers), job.copy)
        numbers.save()
        place = make_digest(key, "export", str(job.export.resolve()))
        filled = any(named.places for named in exams)
        return ScanReport(
            files=len(found),
            kinds=dict(kinds.most_common()),
            faults=dict(Counter(finding.fault for _, finding in faulty).most_common()),
            copies=copies,
            exams=tuple(exams),
            draft=write_draft(job.site.folder, exams, job.work / "drafts.json", place) if filled else None,
            clips=write_clips(job.work, exams),
            unread=write_unread(job.work, unread),
            pictures=job.work / PICTURE_FOLDER,
        )


@contextmanager
def _hold(job: ScanJob) -> Iterator[None]:
    job.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    (job.work / PICTURE_FOLDER).mkdir(mode=0o700, exist_ok=True)
    busy = ExpectedError("another `ceus-site scan` is at work in this folder; wait, or stop it")
    with hold_lock(job.work / "lock", busy):
        yield


def _walk(job: ScanJob, on_progress: OnProgress) -> tuple[list[FoundFile], list[Unwalked]]:
    ours = [job.site.work, job.site.records, job.site.folder / CLIP_FOLDER, job.site.folder / STAGING_FOLDER]
    found: list[FoundFile] = []
    unwalked: list[Unwalked] = []
    for one in walk_export(job.export.resolve(), ours):
        if isinstance(one, FoundFile):
            found.append(one)
        else:
            unwalked.append(one)
        if len(found) % _STEP == 0:
            on_progress(len(found), len(found) + 1)
    on_progress(len(found), len(found))
    return found, unwalked


def _read_all(
    job: ScanJob, files: Sequence[FoundFile], known: tuple[Journal, bytes], on_progress: OnProgress
) -> list[tuple[FoundFile, FileFinding]]:
    """What each file is, in the order of the walk. Of files that matter no more only the kind is kept."""
    findings: dict[str, FileFinding] = {}
    with closing(read_headers(files, *known, job.workers)) as results:
        for done, (file, finding) in enumerate(results, start=1):
            findings[file.path] = finding
            on_progress(done, len(files))
    return [(file, findings[file.path]) for file in files]


def _list_missing(seen: Sequence[tuple[FoundFile, FileFinding]], there: set[str]) -> Iterator[tuple[str, str]]:
    """Paths that a DICOMDIR lists and the walk did not find, in any case of letters, and lists that cannot be read."""
    folded = {path.casefold() for path in there}
    for file, finding in seen:
        if finding.kind != DIRECTORY:
            continue
        try:
            listed = list_referenced_files(Path(file.path))
        except (ClipError, OSError):
            yield file.path, BAD_LIST  # what lies in the folders is walked all the same
            continue
        above = Path(file.path).parent
        for path in (str(above.joinpath(*parts)) for parts in listed):
            if path.casefold() not in folded:
                yield path, LISTED


def _look_at_all(
    job: ScanJob, seen: Sequence[tuple[FoundFile, FileFinding]], key: bytes, on_progress: OnProgress
) -> tuple[list[ScannedClip], list[tuple[FoundFile, ClipFinding]]]:
    """The clips that can be decoded, and those that cannot, in the order of the walk."""
    owners = Owners.gather(((file, one.header) for file, one in seen if one.header is not None), key)
    files = {stamp_file(key, file): (file, one) for file, one in seen if one.kind == CLIP}
    reader = ClipReader(job.site, job.work / PICTURE_FOLDER)
    looks: dict[str, ClipFinding] = {}
    with Journal(job.work / "clips.jsonl", describe_settings(job.site)) as journal:
        tasks = [_make_task(stamp, pair, owners) for stamp, pair in files.items()]
        with closing(look_at_clips(tasks, journal, reader, job.workers)) as results:
            for done, (task, finding) in enumerate(results, start=1):
                looks[task.stamp] = finding
                on_progress(done, len(tasks))
    good = [_build_clip(stamp, files[stamp], looks[stamp], owners) for stamp in files if not looks[stamp].fault]
    return good, [(files[stamp][0], looks[stamp]) for stamp in files if looks[stamp].fault]


def _make_task(stamp: str, pair: tuple[FoundFile, FileFinding], owners: Owners) -> ClipTask:
    file, finding = pair
    maker = owners.find(file, finding.header).manufacturer
    return ClipTask(stamp, file.path, finding.suffix, maker, finding.header is not None and finding.header.agent)


def _build_clip(stamp: str, pair: tuple[FoundFile, FileFinding], look: ClipFinding, owners: Owners) -> ScannedClip:
    (file, finding), header = pair, pair[1].header
    return ScannedClip(
        file=file,
        stamp=stamp,
        suffix=finding.suffix,
        identity=(header.instance if header is not None else look.digest) or stamp,
        owner=owners.find(file, header),
        clock_s=None if header is None else header.clock_s,
        video=header is None,
        finding=look,
    )


def _name(job: ScanJob, path: str) -> str:
    """A path from the export on."""
    return os.path.relpath(path, job.export.resolve())
