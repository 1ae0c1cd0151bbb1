"""What a site does next, by what lies in its folder: the last line of every command."""

from __future__ import annotations

from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from client.courier.approval import in_force
from client.courier.fab import find_trust
from client.courier.folder import CourierFolder, courier_of
from client.courier.kit import is_ours, kit_of
from client.courier.waiting import find_bundles
from client.data.dataset.index_file import INDEX_FILE, read_index_counts
from client.data.forms.site_config import SITE_FILE, load_site
from client.policy.approved_studies import list_processings
from client.worker.site.opt_out import read_participation

_STAY = ("predict", "bundle", "console", "serve", "worker", "courier", "receive")
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
        return (
            f"ceus-site scan EXPORT {folder} drafts the table; or fill site.yaml and lesions.csv in {folder}, then "
            f"ceus-site check {folder}"
        )
    if command == "scan":
        return (
            f"fill the draft and save it as lesions.csv in {folder} (or scan with --add), then ceus-site check {folder}"
        )
    site, courier = load_site(folder), courier_of(folder)
    if read_participation(site.records).paused:
        return f"ceus-site resume {folder}, when the site shall answer again"
    if is_ours(courier) and (joining := _of_joining(folder, courier)):
        return joining
    if not (site.work / INDEX_FILE).exists() or not _fits(folder):
        return f"ceus-site index {folder}"
    if command == "index":
        return f"ceus-site show {folder} draws what was read, to look at"
    return _of_service(command, folder, courier) if is_ours(courier) else f"ceus-site health {folder}"


def _of_joining(folder: Path, courier: CourierFolder) -> str:
    """What comes before the lesions are read: a study says how. "" where that is done."""
    if not courier.request.exists():
        return f"ceus-site keys {folder} --federation ID, with the id that the coordinator told"
    kit = kit_of(courier)
    if kit is None or courier.next_key.exists():
        return f"send {courier.request} to the coordinator, then ceus-site join {folder} KIT with the answer"
    if find_bundles(courier, folder, find_trust(kit)).waiting:
        return f"ceus-site approve {folder}"
    if not in_force(courier):
        return f"ceus-site approve {folder} bundle.fab, with the bundle that came with the kit"
    return ""


def _fits(folder: Path) -> bool:
    """Whether the index was made with the settings of the approved studies."""
    made = read_index_counts(load_site(folder)).processing
    wanted = {one.digest() for one in list_processings(load_site(folder).records).values()}
    return not wanted or any(one.startswith(made) for one in wanted)


def _of_service(command: str, folder: Path, courier: CourierFolder) -> str:
    if not is_held(courier.logs / "service.lock"):
        return f"ceus-site serve {folder}" if command == "preflight" else f"ceus-site preflight {folder}"
    if command == "health":
        return f"ceus-site audit show {folder} says what was asked and what left"
    return f"ceus-site health {folder}"
