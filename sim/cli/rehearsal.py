"""`ceus-sim rehearsal`: a whole federation on this machine, in one terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ceus_models.runtime.exit_codes import INTERRUPTED
from ceus_models.runtime.humanize import format_duration
from ceus_models.runtime.process_tree import ProcessGroup
from ceus_models.runtime.progress_bar import stop_on_sigterm
from sim.cli.hospital import PolicyChoice
from sim.rehearsal.rehearsal import LOGS, Rehearsal, check_ready, rehearse, stay_open
from sim.rehearsal.terminal import Terminal


def rehearsal_command(
    plan: Annotated[Path, typer.Argument(help="A plan with a section `simulation`.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A new folder, for everything; afterwards it may be deleted.")],
    seed: Annotated[int, typer.Option(min=0, help="Of hospitals and study.")] = 1,
    policy: Annotated[
        PolicyChoice, typer.Option(help="What the hospitals allow: safe as it comes with a site, or any plan.")
    ] = PolicyChoice.safe,
    stay: Annotated[bool, typer.Option("--stay", help="Keep all running after the report, until Ctrl-C.")] = False,
) -> None:
    """Rehearse a federation with phantom hospitals: coordinator, front door, sites, consoles, from init to report."""
    rehearsal = Rehearsal(plan, out, seed, policy.value)
    folders, console, begun = check_ready(rehearsal), Console(highlight=False), time.monotonic()
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with stop_on_sigterm(), ProcessGroup(out / LOGS) as fleet:
            terminal = Terminal(fleet, console)
            report = rehearse(rehearsal, folders, terminal)
            took = format_duration(time.monotonic() - begun)
            console.print(f"{terminal.started} commands in {took}; report: {report}", soft_wrap=True)
            if stay:
                console.print("all of it goes on, until Ctrl-C")
                stay_open()
    except KeyboardInterrupt:
        console.print(f"\nstopped, with all that was started; delete {out} before the next rehearsal", soft_wrap=True)
        raise SystemExit(INTERRUPTED) from None  # not as other commands end, which go on from there
    console.print(f"everything is stopped; all of it is in {out}, to keep or to delete", soft_wrap=True)
