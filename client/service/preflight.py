"""`ceus-site preflight`: all that a site needs, looked at before its first round, each failure with its remedy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from client.courier.folder import courier_of
from client.data.forms.site_config import load_site
from client.policy.policy_file import load_policy
from client.service.findings import Finding, Look, looked
from client.service.preflight_data import Data
from client.service.preflight_machine import cgroup, disk, graphics, memory, open_files, shared_memory, writable
from client.service.preflight_network import Line

_MARKS = {"ok": "[green]ok   [/]", "note": "[yellow]note [/]", "fault": "[red]FAULT[/]"}


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
    found: list[Finding] = []
    out = Console(highlight=False, soft_wrap=True)
    for finding in preflight(folder):
        found.append(finding)
        if not as_machine:
            out.print(f"{_MARKS[finding.state]} {finding.name}: {escape(finding.found)}")
            if finding.remedy:
                out.print(f"      → {escape(finding.remedy)}")
    bad = sum(finding.state == "fault" for finding in found)
    if as_machine:
        typer.echo(json.dumps({"ok": not bad, "findings": [asdict(finding) for finding in found]}, indent=2))
    elif bad:
        out.print(f"[red]{bad} faults[/]; mend them from the top")
    else:
        out.print("this site can take part: `ceus-site serve FOLDER`")
    raise typer.Exit(1 if bad else 0)


def preflight(folder: Path) -> Iterator[Finding]:
    """All findings, as they come."""
    return looked([*Line(courier_of(folder)).looks(), *_machine(folder), *Data(folder, os.cpu_count() or 1).looks()])


def _machine(folder: Path) -> list[tuple[str, Look]]:
    def written() -> dict[str, Path]:
        site = load_site(folder)
        return {"work": site.work, "records": site.records, "courier": courier_of(folder).state}

    return [
        ("folders", lambda: writable(written())),
        ("disk", lambda: disk(written())),
        ("memory", memory),
        ("shared memory", shared_memory),
        ("cgroup", cgroup),
        ("open files", open_files),
        ("GPU", lambda: graphics(load_policy(folder).machine)),
    ]
