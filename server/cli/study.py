"""`ceus-coordinator` plan · report: look at a plan before anybody is asked, and report a run's results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ceus_models.plan.plan import load_plan
from ceus_models.plan.privacy_cost import COLLUDING, compute_costs
from ceus_models.protocol.software import read_software
from ceus_models.runtime.errors import ExpectedError
from server.cli.status import StudyName, opened
from server.report.page import render_report
from server.report.publish import RESULTS, publish_run, write_tables
from server.report.terminal_table import print_results
from server.run_folder.studies import find_plan, find_study, read_settings


def plan_command(plan: Annotated[Path, typer.Argument(help="The study's plan.", show_default=False)]) -> None:
    """Check a plan and show its stages; all faults come at once, with their lines."""
    checked = load_plan(plan)
    table = Table(
        "stage", "kind", "rounds", "sites, at least", title=f"Plan {checked.name}, digest {checked.digest()[:12]}"
    )
    for stage in checked.stages:
        table.add_row(stage.name, stage.stage, str(stage.steps()), str(checked.least_sites()[stage.name]))
    Console().print(table)
    installed = read_software()
    Console().print(f"installed here: fedceus {installed.fedceus}, package {installed.package}", soft_wrap=True)
    Console().print(f"all that is installed here: {installed.installed}", soft_wrap=True)
    for cost in compute_costs(checked):
        spent = (
            f"ε = {cost.total:.2f} at δ = {checked.delta:g}; {cost.honest:.2f} if {COLLUDING} other sites tell their"
        )
        Console().print(
            f"privacy: a patient of {cost.cohort} spends {spent} noise, {cost.own:.2f} if all do", soft_wrap=True
        )


def report_command(
    results: Annotated[
        Path,
        typer.Argument(help="A run's results.json, or the coordinator's folder.", show_default=False),
    ],
    study: StudyName = None,
    out: Annotated[Path | None, typer.Option(help="The page to write [default: report.html beside it].")] = None,
) -> None:
    """Make the report from `results.json` alone, anywhere; or from a study's newest checkpoint, as it runs."""
    if results.is_dir():
        home, _ = opened(results)
        chosen = find_study(home, study)
        page = publish_run(chosen.run, load_plan(find_plan(chosen)), read_settings(chosen).seed)
        results = page.with_name(RESULTS)
    found = _read(results)
    page = out or results.with_name("report.html")
    page.write_text(render_report(found), encoding="utf-8")
    write_tables(found, page.parent)
    terminal = Console()
    print_results(found, terminal)
    terminal.print(f"report: {page}", soft_wrap=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExpectedError(f"{path} must be JSON, but cannot be read; give the results.json of a run") from None
    if not isinstance(found, dict) or "cohorts" not in found:
        raise ExpectedError(f"{path} must hold cohorts, found none; give the results.json of a run")
    return found
