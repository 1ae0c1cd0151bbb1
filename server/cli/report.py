"""`ceus-coordinator report`: the page of a run's results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from server.cli.status import StudyName, opened
from server.report.page import render_report
from server.report.publish import RESULTS, publish_run, write_checklists, write_tables
from server.report.terminal_table import print_results
from server.run_folder.studies import find_plan, find_study, read_settings


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
    write_checklists(found, page.parent)
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
