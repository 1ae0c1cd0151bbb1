"""What a coordinator does next, by what lies in the folder: the last line of every command."""

from __future__ import annotations

from pathlib import Path

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from server.federation.site_register import read_register
from server.run_folder.orders import MOVING_PHASES, read_state
from server.run_folder.paths import FEDERATION_FILE, Home, StudyFolder
from server.run_folder.studies import list_by_urgency, list_studies

_STAY = ("up", "console", "people", "notices")
"""Commands that run until they are ended, or stand beside the way to a result."""


def describe_next(command: str, folder: Path | None) -> str:
    """The next command with its reason; "" where none follows. folder: None for a command without one."""
    if command in _STAY:
        return ""
    if folder is None or not folder.is_dir():
        return "ceus-coordinator init FOLDER makes the federation with this plan" if command == "plan" else ""
    try:
        return _of_folder(command, Home(folder.resolve()), folder)
    except (ExpectedError, OSError):
        return f"ceus-coordinator preflight {folder} tells what is wrong"


def _of_folder(command: str, home: Home, folder: Path) -> str:
    if not home.federation.exists():
        return f"ceus-coordinator init {folder}"
    studies = list_studies(home)
    if not home.ca.exists():
        return f"fill {folder / FEDERATION_FILE}, put plan.yaml beside it, then ceus-coordinator init {folder}"
    if not studies:
        return f"ceus-coordinator study add {folder} PLAN"
    if not any(entry.works(utc_now()) for entry in read_register(home).entries):
        return f"when a site has sent its request: ceus-coordinator enrol {folder} REQUEST"
    if not is_held(home.up_lock):
        return f"ceus-coordinator up {folder} --front-door (without it open the door yourself: nginx -c {home.nginx})"
    return _of_study(command, list_by_urgency(home)[0], folder, len(studies) > 1)


def _of_study(command: str, study: StudyFolder, folder: Path, is_one_of_many: bool) -> str:
    phase, which = read_state(study).phase, f" --study {study.name}" if is_one_of_many else ""
    if phase == "done":
        return f"read {study.run / 'report.html'}; ceus-coordinator report {folder}{which} makes it anew"
    if phase in MOVING_PHASES:
        return f"ceus-coordinator {'run' if command == 'status' else 'status'} {folder}{which} follows the run"
    if command != "preflight":
        return f"ceus-coordinator preflight {folder}{which}, and when all is well ceus-coordinator run {folder}{which}"
    return f"ceus-coordinator run {folder}{which}"
