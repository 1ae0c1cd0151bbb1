"""`ceus-site show`: quality sheets and contact sheets of what the index made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ceus_models.runtime.errors import ExpectedError, FaultList
from ceus_models.runtime.findings import convert_fault, print_findings
from ceus_models.runtime.progress_bar import show_progress
from client.cli.dataset import CORES, Folder, Plan, Study, Workers, output
from client.data.dataset.cache import sheets_folder
from client.data.forms.site_config import SiteConfig, load_site, open_work
from client.data.sheets.site_sheets import SheetJob, draw_sheets
from client.data.table.manifest import read_manifest
from client.data.table.rows import Row
from client.service.sample_settings import find_processing


def show_command(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="Where the pictures go [default: WORK/sheets].")] = None,
    lesion: Annotated[int | None, typer.Option(min=2, help="Only the lesion in this row of the table.")] = None,
    plan: Plan = None,
    study: Study = None,
    workers: Workers = CORES,
) -> None:
    """Draw a quality sheet per lesion, named by its pseudonym, and contact sheets of the site.

    Lesions that must be looked at before they are used come first on the contact sheets, in red.
    """
    site, processing = load_site(folder), find_processing(folder, plan, study)
    open_work(site)
    target = sheets_folder(site) if out is None else out
    with show_progress("drawing") as on_progress:
        job = SheetJob(site, processing, target, contact=lesion is None)
        drawn = draw_sheets(job, _rows(site, lesion), on_progress, workers)
    print_findings(map(convert_fault, drawn.faults))
    if not drawn.sheets:
        raise ExpectedError("no lesion could be drawn; `ceus-site check` tells what to mend")
    output().print(f"quality sheets: {drawn.sheets}, in {escape(str(target))}", soft_wrap=True)
    if drawn.doubtful:
        output().print(f"[yellow]to be looked at[/]: {drawn.doubtful}, first and red on the contact sheet")
    if drawn.pages:
        output().print(f"contact sheet: {', '.join(path.name for path in drawn.pages)}", soft_wrap=True)


def _rows(site: SiteConfig, line: int | None) -> Sequence[Row]:
    manifest = read_manifest(site)
    if line is None:
        return manifest.rows
    chosen = [row for row in manifest.rows if row.line == line]
    if chosen:
        return chosen
    its_own = [fault for fault in manifest.faults if fault.row == line]
    if its_own:
        raise FaultList(its_own)
    header = site.lesions_format.header_row
    raise ExpectedError(f"row {line} of {site.table.name} holds no lesion; the header is in row {header}")
