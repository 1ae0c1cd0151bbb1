"""Moves a coordinator's folder of one study, as earlier versions made it, into a folder of its own for the study.

Every step is one rename or one whole file, and each is made only where it is missing: after a kill anywhere the next
command goes on, and checkpoints, message log and order are as they were.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.yaml_lines import make_fault_at, read_yaml_with_lines
from server.federation.federation_file import load_federation
from server.run_folder.journal import Journal
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import write_settings

_MOVING = ".moving"  # a study that is not whole yet


def open_home(folder: Path) -> Home:
    """The coordinator's folder; one of an earlier version is moved over first.

    Raises:
        ExpectedError: it is in use, may not be written, or its plan has faults.
    """
    home = Home(folder.resolve())
    if not _is_former(home):
        return home
    busy = ExpectedError(
        f"{home.folder} is of an earlier version, and is moved over when nothing runs for it: stop `ceus-coordinator "
        "up` there, then run this again"
    )
    try:
        with hold_lock(home.up_lock, busy):
            if _is_former(home):
                _move(home)
    except OSError as error:
        raise ExpectedError(
            f"{home.folder} is of an earlier version and cannot be moved over ({error.strerror}: {error.filename}); "
            f"run `ceus-coordinator status {home.folder}` as the account of `up`"
        ) from None
    return home


def name_study(plan: str) -> str:
    """The name of a study's folder, from the plan's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", plan)[:63].strip("-") or "study"


def _is_former(home: Home) -> bool:
    """Whether there is something to move; the bundle goes last."""
    return _bundle(home).exists() or (home.studies / _MOVING).exists()


def _bundle(home: Home) -> Path:
    return home.folder / "study" / "bundle.fab"


def _read_name(plan: Path) -> str:
    """The name in a plan, without what a whole plan imports. Raises FaultList where it cannot be read."""
    document = read_yaml_with_lines(plan, "bad-plan-file")
    name = document.values.get("name") if isinstance(document.values, dict) else None
    if not isinstance(name, str):
        raise document.error([make_fault_at((), "a plan has a name", "none", "write it")])
    return name


def _move(home: Home) -> None:
    federation = load_federation(home.federation)
    name = name_study(_read_name(home.folder / federation.plan))
    run, moving = home.folder / "run", StudyFolder(home, _MOVING)
    if Journal(run).is_held():
        raise ExpectedError(
            f"{home.folder} is of an earlier version, and a coordinator's process still runs in {run}: it ends within "
            "a minute after `up`, else end it; then run this again"
        )
    moving.folder.mkdir(parents=True, exist_ok=True)
    roster = run / home.roster.name
    if roster.exists():
        roster.replace(home.roster)
    if run.exists():
        run.replace(moving.run)
    if not moving.settings.exists():
        write_settings(moving, federation.plan, federation.seed)
    if _bundle(home).exists():
        _bundle(home).replace(moving.bundle)
    moving.folder.replace(StudyFolder(home, name).folder)
    with suppress(OSError):
        _bundle(home).parent.rmdir()
