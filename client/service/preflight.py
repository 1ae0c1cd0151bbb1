"""`ceus-site preflight`: all that a site needs, checked before its first round, each failure with its remedy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.findings import Check, name_folder, print_findings, run_checks
from ceus_models.runtime.language.terminal import say
from client.courier.folder import courier_of
from client.data.forms.site_config import load_site
from client.service.preflight_machine import cgroup, disk, memory, open_files, shared_memory, writable
from client.service.preflight_network import Line
from client.service.preflight_site import SiteFolder
from client.service.preflight_training import Training


def preflight_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder.", show_default=False)],
    as_machine: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output, for a machine.")
    ] = False,
) -> None:
    """Look at all that a site needs: line, machine, data, and one lesion from file to trained net. Nothing is sent.

    But for one unsigned call, and 5 MB of zeros that the coordinator refuses, to measure the line. Exit code 1 for any
    fault.
    """
    code = print_findings((name_folder(found, folder) for found in run_checks(checks(folder))), as_machine)
    if not as_machine:
        say("mend the faults from the top" if code else "this site can take part: `ceus-site serve FOLDER`")
    raise typer.Exit(code)


def checks(folder: Path) -> list[Check]:
    """All of them. `serve` runs the quick ones before it starts."""
    line, site = Line(courier_of(folder)), SiteFolder(folder, os.cpu_count() or 1)
    contract: Check = ("data contract", site.contract)
    return [
        *line.quick_checks(),
        *line.slow_checks(),
        *_machine(folder),
        *site.quick_checks(),
        contract,
        *Training(folder).checks(),
    ]


def _machine(folder: Path) -> list[Check]:
    def written() -> dict[str, Path]:
        site = load_site(folder)
        return {"work": site.work, "records": site.records}

    return [
        ("folders", lambda: writable(written())),
        ("disk", lambda: disk({**written(), "courier": courier_of(folder).state})),
        ("memory", memory),
        ("shared memory", shared_memory),
        ("cgroup", cgroup),
        ("open files", open_files),
    ]
