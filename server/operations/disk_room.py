"""Room on the disks of the coordinator's folder: without it the SuperLink answers and can write nothing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ceus_models.runtime.errors import is_disk_full
from server.run_folder.paths import Home
from server.run_folder.studies import list_studies

LEAST_BYTES = 64 << 20
"""With less on one of the disks nothing is started, and what fails is put down to it."""
_PROBE_BYTES = 1 << 20


def find_shortage(home: Home, probe: bool = False) -> str:
    """Which folder has no room, with the fix; "" if all have. probe: also try to write, as a quota is seen only so."""
    runs = {f"the run of {study.name}": study.run for study in list_studies(home)}
    places = {"the SuperLink's database": home.database.parent, **runs, "the logs": home.logs}
    for what, folder in places.items():
        place = next(one for one in (folder, *folder.parents) if one.is_dir())
        free = shutil.disk_usage(place).free
        if free < LEAST_BYTES or (probe and not _can_write(place)):
            return (
                f"the disk is full: {free >> 20} MB free for {what} in {folder}, at least {LEAST_BYTES >> 20} MB are "
                "needed; make room there, and the run goes on by itself"
            )
    return ""


def free_bytes(folder: Path) -> int:
    """Room on the disk of a folder that exists."""
    return shutil.disk_usage(folder).free


def _can_write(folder: Path) -> bool:
    """Whether there is room for a file; another fault of the folder is not a lack of it."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return not is_disk_full(error)
    return True
