"""`ceus-site serve | worker | courier`: the quick checks of the preflight, then this process becomes the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.findings import Check, name_folder, print_findings, run_checks
from client.courier.folder import courier_of, socket_of, state_socket
from client.courier.kit import load_kit, site_name
from client.data.forms.site_config import load_site, open_work
from client.service.preflight_network import Line
from client.service.preflight_site import SiteFolder
from client.service.service import command
from client.worker.unix_socket import check_path

LOGS = "logs"

Folder = Annotated[Path, typer.Argument(help="The site's folder.", show_default=False)]
Socket = Annotated[Path | None, typer.Option(help="Where the worker listens [default: FOLDER/run/worker.sock].")]


def serve_command(folder: Folder, socket: Socket = None) -> None:
    """Take part in the study: keep worker and courier running, until stopped. Connections go out only, to one port."""
    place, courier = _socket(folder, socket), courier_of(folder)
    _require(folder, [*Line(courier).quick_checks(), *SiteFolder(folder).quick_checks()])
    site, logs = load_kit(courier, utc_now()).site, _open_logs(folder)
    _become(command(folder.resolve(), place, site, logs, courier=True))


def worker_command(
    folder: Folder,
    socket: Socket = None,
    site: Annotated[str, typer.Option(help="The site's name [default: the one of courier/request.json].")] = "",
) -> None:
    """Keep the worker alone running: the half with the data, which needs no network."""
    place, name = _socket(folder, socket), site or site_name(courier_of(folder))
    _require(folder, SiteFolder(folder).quick_checks())
    _become(command(folder.resolve(), place, name, _open_logs(folder), courier=False))


def courier_command(folder: Folder, socket: Socket = None) -> None:
    """Keep the courier alone running: the half with the network, which needs FOLDER/courier and the worker's socket."""
    place, courier = _socket(folder, socket), courier_of(folder)
    _require(folder, Line(courier).quick_checks())
    site = load_kit(courier, utc_now()).site
    _become(command(folder.resolve(), place, site, None, courier=True))


def _open_logs(folder: Path) -> Path:
    site = load_site(folder)
    open_work(site)
    return site.work / LOGS


def _socket(folder: Path, given: Path | None) -> Path:
    """Where the worker listens. Raises ExpectedError for a path that is too long, before anything is started."""
    chosen = (given or socket_of(folder)).absolute()
    check_path(state_socket(chosen))
    return chosen


def _require(folder: Path, checks: list[Check]) -> None:
    """Ends the command where something keeps a site from being started, after all of it was told."""
    faults = (name_folder(finding, folder) for finding in run_checks(checks) if finding.state == "fault")
    if print_findings(faults, err=True):
        raise typer.Exit(1)


def _become(words: list[str]) -> None:
    """This process goes on as the service, without what the command had to load."""
    sys.stdout.flush()
    os.execv(words[0], words)
