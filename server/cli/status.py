"""`ceus-coordinator` status · health: how a federation stands, from its files, without loading a net."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.findings import print_findings
from server.federation.federation_file import Federation, load_federation
from server.federation.former_layout import open_home
from server.notices.standing import list_notice_faults
from server.operations.health import health_of
from server.operations.prometheus import render_metrics
from server.operations.snapshot import take_snapshot
from server.operations.status_text import print_status, render_status
from server.run_folder.paths import Home
from server.run_folder.studies import find_study

Folder = Annotated[
    Path, typer.Argument(help="The coordinator's folder, with federation.yaml in it.", show_default=False)
]
StudyName = Annotated[
    str | None, typer.Option("--study", help="Which study, where there is a choice.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for a machine.")]


def status_command(
    folder: Folder,
    study: StudyName = None,
    as_machine: AsJson = False,
    as_gauges: Annotated[
        bool, typer.Option("--prometheus", help="Gauges, for node_exporter's textfile collector.")
    ] = False,
    page: Annotated[Path | None, typer.Option("--html", help="Write a page to this file, for browsers.")] = None,
    every_s: Annotated[int, typer.Option("--every", help="Again after so many seconds, until Ctrl-C.", min=0)] = 0,
) -> None:
    """Show every study, site, certificate and round: who is enrolled, asked, counted, and who is not, and why."""
    home, federation = opened(folder)
    while True:
        found = take_snapshot(home, federation, [find_study(home, study)] if study else None)
        more = list_notice_faults(home, found.up)
        if page:
            write_atomically(page, render_status(found, every_s, more).encode(), PUBLIC)
        elif as_gauges:
            typer.echo(render_metrics(found), nl=False)
        elif as_machine:
            typer.echo(json.dumps({**found.as_json(), "notices": more}, indent=2, ensure_ascii=False))
        else:
            print_status(found, output(), more)
        if not every_s:
            return
        time.sleep(every_s)


def health_command(folder: Folder) -> None:
    """Exit 0 while `up` lives and its SuperLink answers, else 1 with the reason: for a supervisor's probe."""
    home = Home(folder.resolve())
    raise typer.Exit(print_findings([health_of(home, lambda: load_federation(home.federation))]))


def opened(folder: Path) -> tuple[Home, Federation]:
    """The coordinator's folder and its settings."""
    home = open_home(folder)
    return home, load_federation(home.federation)


def output() -> Console:
    """The terminal, without colours of its own for numbers and paths."""
    return Console(highlight=False)
