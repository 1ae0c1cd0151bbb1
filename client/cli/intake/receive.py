"""`ceus-site receive`: studies come over the network, and their clips into the draft of the table."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.progress_bar import OnProgress, stop_on_sigterm
from ceus_models.runtime.supervisor import log_event
from client.data.forms.site_config import SiteConfig, load_site, read_secret
from client.data.scan.scan import STAGING_FOLDER, ScanJob, scan_export
from client.service.receiving.staging import RECEIVED_FOLDER, StagedStudies
from client.service.receiving.storage_service import StorageService, receive_until


def receive_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)],
    workers: Annotated[int, typer.Option(min=1, help="Clips read at once, when a study has arrived.")] = 1,
) -> None:
    """Receive ultrasound studies from the PACS or a scanner until stopped, and draft the table with their clips.

    Who may send stands under receive in site.yaml. A study that is not whole stays apart until it is sent again.
    """
    site = load_site(folder)
    if site.receive is None:
        raise ExpectedError(
            "expected the key receive in site.yaml with title and callers, found none, so nobody may send; write it as "
            "docs/site.md shows"
        )
    busy = ExpectedError("another `ceus-site receive` is at work in this folder; stop it first")
    try:
        with stop_on_sigterm(), hold_lock(site.folder / STAGING_FOLDER / "lock", busy):
            staged = StagedStudies(site.folder, read_secret(site), site.receive)
            service = StorageService(staged, log_event)
            with suppress(KeyboardInterrupt):  # the way to end it
                _draft(site, workers)
                receive_until(service, lambda _: _draft(site, workers), lambda: False)
            log_event({"event": "stopped", "waiting": staged.count_waiting()})
    except OSError as error:
        raise ExpectedError(
            f"the site's folder cannot be written ({error.strerror}); run this as the user who owns it, on a disk "
            "with room"
        ) from None


def _draft(site: SiteConfig, workers: int) -> bool:
    """Draft the table with all that was received; whether that was done. What goes wrong is told and tried again."""
    try:
        report = scan_export(ScanJob(site.folder / RECEIVED_FOLDER, site, False, workers), _ignore)
    except (ExpectedError, OSError) as error:
        said = str(error) if isinstance(error, ExpectedError) else error.strerror
        log_event({"event": "trouble", "said": f"the table was not drafted: {said}"})
        return False
    rows = sum(bool(named.places) for named in report.exams)
    draft = "" if report.draft is None else report.draft.name
    log_event({"event": "drafted", "rows": rows, "draft": draft, "faults": dict(report.faults)})
    return True


def _ignore(step: str) -> OnProgress:
    return lambda done, total: None
