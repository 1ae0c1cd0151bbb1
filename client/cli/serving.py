"""`ceus-site serve | worker | courier`: look whether the site can be started, then become its service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from client.courier.folder import courier_of, socket_of
from client.service.readiness import ready_courier, ready_worker, site_name
from client.service.service import command

LOGS = "logs"

Folder = Annotated[Path, typer.Argument(help="The site's folder.", show_default=False)]
Socket = Annotated[Path | None, typer.Option(help="Where the worker listens [default: FOLDER/run/worker.sock].")]


def serve_command(folder: Folder, socket: Socket = None) -> None:
    """Take part in the study: keep worker and courier running, until stopped. Connections go out only, to one port."""
    kit = ready_courier(courier_of(folder))
    logs = ready_worker(folder).work / LOGS
    _become(command(folder.resolve(), _socket(folder, socket), kit.site, logs, courier=True))


def worker_command(
    folder: Folder,
    socket: Socket = None,
    site: Annotated[str, typer.Option(help="The site's name [default: the one of courier/request.json].")] = "",
) -> None:
    """Keep the worker alone running: the half with the data, which needs no network."""
    name = site or site_name(courier_of(folder))
    logs = ready_worker(folder).work / LOGS
    _become(command(folder.resolve(), _socket(folder, socket), name, logs, courier=False))


def courier_command(folder: Folder, socket: Socket = None) -> None:
    """Keep the courier alone running: the half with the network, which needs FOLDER/courier and the worker's socket."""
    site = ready_courier(courier_of(folder)).site
    _become(command(folder.resolve(), _socket(folder, socket), site, None, courier=True))


def _socket(folder: Path, given: Path | None) -> Path:
    return (given or socket_of(folder)).absolute()


def _become(words: list[str]) -> None:
    """This process goes on as the service, without what the command had to load."""
    sys.stdout.flush()
    os.execv(words[0], words)
