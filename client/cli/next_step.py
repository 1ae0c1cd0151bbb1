"""What a site does next, by what lies in its folder: the last line of every command."""

from __future__ import annotations

from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from client.console.approval_view import is_ours, kit_of
from client.courier.approval import in_force
from client.courier.folder import CourierFolder, courier_of
from client.data.dataset.index_file import INDEX_FILE
from client.data.forms.site_config import SITE_FILE, load_site
from client.worker.site.opt_out import read_participation

_STAY = ("predict", "bundle", "console", "serve", "worker", "courier")
"""Commands that run until they are ended, or have nothing to do with taking part."""


def describe_next(command: str, folder: Path | None) -> str:
    """The next command with its reason; "" where none follows. folder: None for a command without one."""
    if command in _STAY or folder is None or not folder.is_dir():
        return ""
    try:
        return _of_folder(command, folder)
    except (ExpectedError, OSError):
        return f"ceus-site check {folder} tells what is wrong"


def _of_folder(command: str, folder: Path) -> str:
    if not (folder / SITE_FILE).exists():
        return f"ceus-site init {folder}"
    if command == "init":
        return f"fill site.yaml and lesions.csv in {folder}, then ceus-site check {folder} --plan plan.yaml"
    site = load_site(folder)
    if not (site.work / INDEX_FILE).exists():
        return f"ceus-site index {folder} --plan plan.yaml"
    if command == "index":
        return f"ceus-site show {folder} --plan plan.yaml draws what was read, to look at"
    if read_participation(site.records).paused:
        return f"ceus-site resume {folder}, when the site shall answer again"
    courier = courier_of(folder)
    return _of_courier(command, folder, courier) if is_ours(courier) else f"ceus-site health {folder}"


def _of_courier(command: str, folder: Path, courier: CourierFolder) -> str:
    if not courier.request.exists():
        return f"ceus-site keys {folder} --federation ID, with the id that the coordinator told"
    kit = kit_of(courier)
    if kit is None or courier.next_key.exists():
        return f"send {courier.request} to the coordinator, then ceus-site join {folder} KIT with the answer"
    if kit.bundle not in {one.sha256 for one in in_force(courier)}:
        return f"ceus-site approve {folder} bundle.fab, with the bundle that came with the kit"
    if not is_held(courier.logs / "service.lock"):
        return f"ceus-site serve {folder}" if command == "preflight" else f"ceus-site preflight {folder}"
    if command == "health":
        return f"ceus-site audit show {folder} says what was asked and what left"
    return f"ceus-site health {folder}"
