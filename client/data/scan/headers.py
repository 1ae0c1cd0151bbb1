"""The first pass of a scan: of every file its kind, and of DICOM files the header. Nothing is decoded."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from client.data.dataset.worker_pool import LIMITS, Limits, LostItem, map_items
from client.data.imaging.dicom.exam_header import ExamHeader, read_exam_header
from client.data.imaging.dicom.wrapping import is_packed, read_packed_head
from client.data.imaging.recording import ClipError
from client.data.scan.file_kinds import (
    ARCHIVE,
    DAMAGED,
    DICOM,
    EMPTY,
    HEAD_BYTES,
    VIDEO,
    classify_file,
    find_video_suffix,
)
from client.data.scan.journal import Journal, stamp_file
from client.data.scan.walk import FoundFile, describe_error

CLIP, STILL, DIRECTORY = "clip", "still", "DICOMDIR"
FOREIGN, NO_PICTURE = "DICOM of another modality", "DICOM without a picture"
DAMAGED_DICOM, LOST = "damaged DICOM", "reading failed"
_PACKED_SUFFIXES = (".dcm.gz", ".dicom.gz", ".ima.gz")
_CHUNK = 64
"""Files that a process gets at once: a message for each one would cost as much as its header."""
_FLEETING = ("vanished", "no permission", "not reachable", LOST)
"""What may be otherwise the next time, so it is not written down."""


@dataclass(frozen=True, slots=True)
class FileFinding:
    """What a file is.

    Attributes:
        kind: A word for the counts.
        suffix: By which a clip is opened, "" for what is none.
        header: Of a DICOM file that could be read.
    """

    kind: str
    suffix: str = ""
    header: ExamHeader | None = None

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {
            "kind": self.kind,
            "suffix": self.suffix,
            "header": None if self.header is None else asdict(self.header),
        }

    @classmethod
    def from_json(cls, found: Any) -> FileFinding:
        """From the journal. Raises LookupError or TypeError where it is another form."""
        header = found["header"]
        return cls(str(found["kind"]), str(found["suffix"]), None if header is None else ExamHeader(**header))


@dataclass(frozen=True)
class HeaderReader:
    """Work of a process. key: of the digests."""

    key: bytes

    def read(self, files: Sequence[FoundFile]) -> list[FileFinding]:
        """What each of some files is."""
        return [self._read_one(file) for file in files]

    def _read_one(self, file: FoundFile) -> FileFinding:
        if file.size == 0:
            return FileFinding(EMPTY)
        try:
            with Path(file.path).open("rb") as opened:
                head = opened.read(HEAD_BYTES)
            packed = is_packed(head)
            kind = self._classify_packed(file) if packed else classify_file(file.path, head)
            if kind == VIDEO:
                return FileFinding(CLIP, find_video_suffix(file.path, head))
            if kind != DICOM:
                return FileFinding(kind)
            return _judge_header(read_exam_header(Path(file.path), self.key), ".dcm.gz" if packed else ".dcm")
        except OSError as error:
            return FileFinding(describe_error(error))
        except ClipError:
            return FileFinding(DAMAGED_DICOM)

    def _classify_packed(self, file: FoundFile) -> str:
        """A packed DICOM file is a clip, as the reader reads it; any other is an archive."""
        head = read_packed_head(Path(file.path), HEAD_BYTES)
        if not head:
            return DAMAGED if file.path.casefold().endswith(_PACKED_SUFFIXES) else ARCHIVE
        return DICOM if classify_file("", head) == DICOM else ARCHIVE


def _judge_header(header: ExamHeader, suffix: str) -> FileFinding:
    if header.directory:
        return FileFinding(DIRECTORY, "", header)
    if header.frames == 0:
        return FileFinding(NO_PICTURE)
    if not header.ultrasound:
        return FileFinding(FOREIGN)
    return FileFinding(CLIP, suffix, header) if header.frames > 1 else FileFinding(STILL, "", header)


def read_headers(
    files: Sequence[FoundFile], journal: Journal, key: bytes, workers: int, limits: Limits = LIMITS
) -> Generator[tuple[FoundFile, FileFinding], None, None]:
    """Every file with what it is; first those that the journal knows. Close it to end the processes at once."""
    left: list[FoundFile] = []
    for file in files:
        kept = _find_kept(journal, stamp_file(key, file))
        if kept is None:
            left.append(file)
        else:
            yield file, kept
    work = HeaderReader(key).read
    lost: list[FoundFile] = []
    with closing(map_items(work, _cut(left), min(workers, len(left)), limits)) as results:
        for chunk, found in results:
            if isinstance(found, LostItem):
                lost.extend(chunk)  # one of them ended the process: each is tried by itself
            else:
                yield from _keep_all(zip(chunk, found, strict=True), journal, key)
    with closing(map_items(work, [(file,) for file in lost], min(workers, len(lost)), limits)) as results:
        for (file,), found in results:
            one = FileFinding(LOST) if isinstance(found, LostItem) else found[0]
            yield from _keep_all([(file, one)], journal, key)


def _keep_all(
    pairs: Iterable[tuple[FoundFile, FileFinding]], journal: Journal, key: bytes
) -> Iterator[tuple[FoundFile, FileFinding]]:
    for file, found in pairs:
        if found.kind not in _FLEETING:
            journal.keep(stamp_file(key, file), found.as_json())
        yield file, found


def _find_kept(journal: Journal, stamp: str) -> FileFinding | None:
    try:
        return FileFinding.from_json(journal.known[stamp])
    except (LookupError, TypeError):
        return None


def _cut(files: Sequence[FoundFile]) -> Iterator[tuple[FoundFile, ...]]:
    left = iter(files)
    while chunk := tuple(islice(left, _CHUNK)):
        yield chunk
