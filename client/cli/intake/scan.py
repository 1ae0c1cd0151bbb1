"""`ceus-site scan`: what an export holds, and a draft of the table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.reader_language import translate
from ceus_models.runtime.progress_bar import OnProgress, show_progress
from client.cli.dataset import CORES, AsJson, Workers, output
from client.cli.intake.scan_page import write_scan_page
from client.data.forms.site_config import SITE_FILE, load_site
from client.data.scan.draft import NamedExam
from client.data.scan.scan import ScanJob, ScanReport, scan_export
from client.data.scan.table_rows import add_rows
from client.data.sheets.scan_sheet import make_tiles, write_scan_sheets

_MOST_SHOWN = 60
"""Exams in the terminal's table; all are in the tables of the work folder."""


def scan_command(
    export: Annotated[Path, typer.Argument(help="The folder of an export, with or without a DICOMDIR.")],
    folder: Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.")] = Path(),
    copy: Annotated[
        bool,
        typer.Option("--copy", help="Copy the clips into the folder, where the export will not stay. Else: links."),
    ] = False,
    add: Annotated[
        bool, typer.Option("--add", help="Also add the exams that the table does not have yet as rows at its end.")
    ] = False,
    workers: Workers = CORES,
    as_machine: AsJson = False,
) -> None:
    """Tell what an export holds, and write lesions.draft.csv with the clips filled in. The export is not touched.

    It can be stopped at any time: the same command goes on from there.
    """
    if not (folder / SITE_FILE).exists():
        raise ExpectedError(
            f"expected a site's folder with {SITE_FILE} for the draft, found none there; make one by ceus-site init "
            "FOLDER, then name it: ceus-site scan EXPORT FOLDER"
        )
    with ExitStack() as shown:

        def begin(step: str) -> OnProgress:
            shown.close()
            return shown.enter_context(show_progress(step, quiet=as_machine))

        try:
            site = load_site(folder)
            report = scan_export(ScanJob(export, site, copy, workers), begin)
            sheets = write_scan_sheets(make_tiles(report.exams, report.pictures), report.clips.parent)
            page = write_scan_page(report)
            added = add_rows(site.table, site.lesions_format.encoding, report.exams) if add else 0
        except OSError as error:
            raise ExpectedError(
                f"the site's folder cannot be written ({error.strerror}); name one that this user owns, on a disk that "
                "has links (or take --copy)"
            ) from None
    if as_machine:
        typer.echo(json.dumps({**_as_json(report), "added": added}, indent=2))
        return
    _print_report(report, sheets, page)
    if add:
        output().print(f"rows added to {escape(site.table.name)}: {added}")


def _print_report(report: ScanReport, sheets: list[Path], page: Path) -> None:
    out = output()
    table = Table("exam", "maker", "shows contrast", "frames", "seconds", "panes", "tint", "frame", box=None)
    for named in report.exams[:_MOST_SHOWN]:
        table.add_row(*map(escape, _describe_exam(named)))
    if report.exams:
        out.print("frame: the likely reference frame of the first clip that shows contrast, counted from 0")
        out.print(table)
    if len(report.exams) > _MOST_SHOWN:
        out.print(f"and {len(report.exams) - _MOST_SHOWN} exams more, in {escape(str(report.clips))}", soft_wrap=True)
    out.print(f"files: {report.files} ({escape(_counts(report.kinds))})", soft_wrap=True)
    if report.copies:
        out.print(f"copies of clips, left out: {report.copies}")
    if report.faults:
        out.print(f"[red]clips that cannot be used[/]: {escape(_counts(report.faults))}", soft_wrap=True)
    out.print(f"all of it as a page for a browser: {escape(str(page))}", soft_wrap=True)
    out.print(f"every clip: {escape(str(report.clips))}", soft_wrap=True)
    out.print(f"files that may be clips and were not read: {escape(str(report.unread))}", soft_wrap=True)
    if sheets:
        out.print(
            f"contact sheet: {', '.join(escape(path.name) for path in sheets)}, in the same folder", soft_wrap=True
        )
    if report.draft is None:
        out.print("[yellow]no clip shows contrast, so there is no draft[/]")
        return
    rows = sum(bool(named.places) for named in report.exams)
    out.print(f"draft of the table: {escape(str(report.draft))}, {rows} rows, one an exam", soft_wrap=True)
    out.print("write what its column to_write names, a row more for each further lesion; then save it as lesions.csv")


def _describe_exam(named: NamedExam) -> Iterator[str]:
    """The cells of one exam; numbers of its clips stand in the order of their recording."""
    exam, clips = named.exam, named.exam.clips
    yield f"L{exam.number:04d}"
    yield exam.manufacturer or "?"
    yield f"{len(exam.contrast_clips)} of {len(clips)}"
    yield _join(str(clip.finding.frames) for clip in clips)
    yield _join(f"{clip.finding.seconds:.0f}" for clip in clips)
    yield _join(str(clip.finding.panes) for clip in clips)
    yield ", ".join(sorted({clip.finding.tint for clip in clips}))
    yield str(exam.contrast_clips[0].finding.reference) if exam.contrast_clips else ""


def _join(words: Iterator[str]) -> str:
    return " ".join(words)


def _counts(counts: Mapping[str, int]) -> str:
    """In the reader's language: no template tells a list of kinds from a sentence."""
    return ", ".join(f"{translate(name)} {count}" for name, count in counts.items()) or "none"


def _as_json(report: ScanReport) -> dict[str, object]:
    return {
        "files": report.files,
        "kinds": dict(report.kinds),
        "faults": dict(report.faults),
        "copies": report.copies,
        "exams": len(report.exams),
        "clips": sum(len(named.exam.clips) for named in report.exams),
        "rows": sum(bool(named.places) for named in report.exams),
        "draft": None if report.draft is None else report.draft.name,
    }
