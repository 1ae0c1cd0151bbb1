"""`ceus-coordinator plan`: look at a plan before anybody is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ceus_models.plan.plan import load_plan
from ceus_models.plan.words.outline import read_outline
from ceus_models.plan.words.plan_lines import format_plan
from ceus_models.plan.words.plan_text import describe_plan
from ceus_models.protocol.software import read_software


def plan_command(plan: Annotated[Path, typer.Argument(help="The study's plan.", show_default=False)]) -> None:
    """Check a plan and say in words what it asks, as sites read it; all faults come at once, with lines."""
    checked, out = load_plan(plan), Console(highlight=False)
    text = describe_plan(read_outline(checked.plain()))
    for line in format_plan(text):
        out.print(escape(line), soft_wrap=True)
    out.print()
    if text.shortage:
        out.print(f"[red]{escape(text.shortage)}[/]", soft_wrap=True)
    out.print(f"digest {checked.digest()}", soft_wrap=True)
    installed = read_software()
    out.print(f"installed here: fedceus {installed.fedceus}, package {installed.package}", soft_wrap=True)
    out.print(f"all that is installed here: {installed.installed}", soft_wrap=True)
