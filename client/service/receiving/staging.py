"""Studies on their way in: each object is kept when it is acknowledged, each study moves over when it is whole.

An object that was acknowledged is on the disk, so a sender that goes on after a break finds it again. A study counts as
whole when its association was released by the sender and nothing of it came for a while; DICOM does not say how many
objects a study has. Names of files and folders are keyed digests: no id comes from the network into a path.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.runtime.atomic_files import PRIVATE, replace_folder
from client.data.forms.receive_form import ReceiveForm
from client.data.imaging.dicom.exam_header import ExamHeader, read_exam_header
from client.data.imaging.recording import ClipError
from client.data.scan.scan import STAGING_FOLDER

RECEIVED_FOLDER = "clips/received"
_ENDED = "ended"
"""Its time says when the last association of a study was released; a study without it is not whole."""
_GIB = 1 << 30
_NAME_CHARACTERS = 16
_HOUR_S = 3600.0


class NoRoomError(Exception):
    """The quota or the disk has no room for one more object."""


class NoUltrasoundError(Exception):
    """An object that is no ultrasound image of a study."""


@dataclass
class StagedStudies:
    """The folders of one site's received studies; safe for several threads.

    Attributes:
        folder: The site's folder.
        key: Of the digests.
        limits: Quotas and times.
        clock: Seconds, as the times of files have them.
    """

    folder: Path
    key: bytes
    limits: ReceiveForm
    clock: Callable[[], float] = time.time
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _used: int = 0

    def __post_init__(self) -> None:
        """Make the folders; what an object that was cut off by a kill left is removed. Raises OSError."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        for folder in (self.staging, self.incoming, self.studies, self.received):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._used = self._measure_all()

    @property
    def staging(self) -> Path:
        """Folder of all that is not whole yet; on the file system of `received`, so that a study moves at once."""
        return self.folder / STAGING_FOLDER

    @property
    def incoming(self) -> Path:
        """Folder of objects that are being received."""
        return self.staging / "incoming"

    @property
    def studies(self) -> Path:
        """Folder of the studies that are not whole."""
        return self.staging / "studies"

    @property
    def received(self) -> Path:
        """Folder of the whole studies."""
        return self.folder / RECEIVED_FOLDER

    def _measure_all(self) -> int:
        return _measure(self.studies) + _measure(self.received)

    def check_room(self, more: int = 0) -> None:
        """Raises NoRoomError where so many bytes more are beyond the quota or fill the disk."""
        most = self.limits.max_gib * _GIB
        if self._used + more > most:
            self._used = self._measure_all()  # a person may have taken studies away
        if self._used + more > most or shutil.disk_usage(self.staging).free < self.limits.min_free_gib * _GIB:
            raise NoRoomError

    def keep(self, path: Path) -> str:
        """Take over an object that was received whole; the study it is of.

        Raises NoRoomError, NoUltrasoundError, and OSError of the disk.
        """
        size = path.stat().st_size
        self.check_room(size)
        header = self._read_header(path)
        target = self.studies / header.study[:_NAME_CHARACTERS]
        _sync(path)
        path.chmod(PRIVATE)
        with self._lock:
            target.mkdir(mode=0o700, exist_ok=True)
            (target / _ENDED).unlink(missing_ok=True)
            place = target / f"{header.instance[:_NAME_CHARACTERS]}.dcm"
            before = place.stat().st_size if place.exists() else 0
            path.replace(place)
            _sync(target)
            self._used += size - before
        return target.name

    def _read_header(self, path: Path) -> ExamHeader:
        try:
            header = read_exam_header(path, self.key)
        except ClipError:
            raise NoUltrasoundError from None
        if not (header.ultrasound and header.study and header.instance):
            raise NoUltrasoundError
        return header

    def end(self, studies: Collection[str]) -> None:
        """Say that the association that brought these was released by its sender. Raises OSError."""
        with self._lock:
            for study in studies:
                if (self.studies / study).is_dir():
                    (self.studies / study / _ENDED).touch(PRIVATE)
                    os.utime(self.studies / study / _ENDED, (self.clock(), self.clock()))

    def finish(self, still_open: Collection[str]) -> list[Path]:
        """Move the studies over that are whole; where they lie now. still_open: those with an association under way.

        Raises OSError.
        """
        moved = []
        with self._lock:
            for study in sorted(self.studies.iterdir()):
                ended = study / _ENDED
                quiet = ended.exists() and self.clock() - ended.stat().st_mtime >= self.limits.quiet_s
                if quiet and study.name not in still_open:
                    moved.append(self._move(study))
        return moved

    def _move(self, study: Path) -> Path:
        target, number = self.received / study.name, 1
        while target.exists():  # what comes later of a study that was whole stands beside it
            number += 1
            target = self.received / f"{study.name}-{number}"
        try:
            study.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with replace_folder(target) as draft:  # another file system is mounted there
                shutil.copytree(study, draft, dirs_exist_ok=True)
            shutil.rmtree(study)
        (target / _ENDED).unlink(missing_ok=True)
        _sync(self.received)
        return target

    def drop_old(self, still_open: Collection[str]) -> int:
        """Remove studies that broke off and that nobody sent again; how many. Raises OSError."""
        dropped = 0
        with self._lock:
            for study in self.studies.iterdir():
                last = max(path.stat().st_mtime for path in (study, *study.iterdir()))
                old = self.clock() - last > self.limits.keep_hours * _HOUR_S
                if old and study.name not in still_open and not (study / _ENDED).exists():
                    self._used -= _measure(study)
                    shutil.rmtree(study)
                    dropped += 1
        return dropped

    def count_waiting(self) -> int:
        """Studies that are not whole yet."""
        return sum(1 for _ in self.studies.iterdir())


def _measure(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
