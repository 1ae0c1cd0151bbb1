"""`ceus-coordinator` status · health: how a federation stands, from its files, without loading a net."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ceus_models.runtime.atomic_files import PUBLIC, write_whole
from ceus_models.runtime.findings import print_findings
from server.federation.federation_file import Federation, load_federation
from server.operations.health import health_of
from server.operations.prometheus import exposition
from server.operations.snapshot import looked
from server.operations.status_text import print_status, status_html
from server.run_folder.paths import Home

Folder = Annotated[
    Path, typer.Argument(help="The coordinator's folder, with federation.yaml in it.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for a machine.")]


def status_command(
    folder: Folder,
    as_machine: AsJson = False,
    as_gauges: Annotated[
        bool, typer.Option("--prometheus", help="Gauges, for node_exporter's textfile collector.")
    ] = False,
    page: Annotated[Path | None, typer.Option("--html", help="Write a page to this file, for browsers.")] = None,
    every_s: Annotated[int, typer.Option("--every", help="Again after so many seconds, until Ctrl-C.", min=0)] = 0,
) -> None:
    """Show every site, certificate and round: who is enrolled, connected, asked, counted, and who is not, and why."""
    home, federation = opened(folder)
    while True:
        seen, valid = looked(home, federation)
        if page:
            write_whole(page, status_html(seen, valid, every_s).encode(), PUBLIC)
        elif as_gauges:
            typer.echo(exposition(seen, valid), nl=False)
        elif as_machine:
            typer.echo(json.dumps(seen.as_json(valid), indent=2, ensure_ascii=False))
        else:
            print_status(seen, valid, output())
        if not every_s:
            return
        time.sleep(every_s)


def health_command(folder: Folder) -> None:
    """Exit 0 while `up` lives and its SuperLink answers, else 1 with the reason: for a supervisor's probe."""
    home = Home(folder.resolve())
    raise typer.Exit(print_findings([health_of(home, lambda: load_federation(home.federation))]))


def opened(folder: Path) -> tuple[Home, Federation]:
    """The coordinator's folder and its settings."""
    home = Home(folder.resolve())
    return home, load_federation(home.federation)


def output() -> Console:
    """The terminal, without colours of its own for numbers and paths."""
    return Console(highlight=False)
