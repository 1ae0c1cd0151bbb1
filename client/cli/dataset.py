"""`ceus-site check | index`: the faults of a hospital's folder, and its samples."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ceus_models.runtime.errors import Fault
from ceus_models.runtime.findings import Finding, convert_fault, make_note, print_findings
from ceus_models.runtime.language.reader_language import translate
from ceus_models.runtime.language.terminal import Terminal
from ceus_models.runtime.progress_bar import show_progress
from ceus_models.study.inclusion import Inclusion, describe_exclusion
from client.cli.check_page import write_page
from client.data.dataset.check import CheckReport, check_site
from client.data.dataset.index import build_index
from client.data.dataset.index_report import IndexReport, TooManySkippedError
from client.data.dataset.review_list import as_json as look_json
from client.data.forms.site_config import load_site
from client.data.table.suggestions import write_suggestions
from client.faults.catalogue import REASONS
from client.faults.fault import as_json, count_reasons
from client.service.sample_settings import find_processing, find_rules

Folder = Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)]
Plan = Annotated[
    Path | None, typer.Option(help="A plan's file, for its processing settings [default: the approved study's].")
]
Study = Annotated[str | None, typer.Option(help="Whose processing settings, where approved studies differ.")]
Workers = Annotated[int, typer.Option(min=1, help="Lesions read at once.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for a machine.")]

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_command(
    folder: Folder,
    workers: Workers = CORES,
    as_machine: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Also write the faults as a page to this file.")] = None,
    fix_suggestions: Annotated[
        Path | None,
        typer.Option(
            help="Write corrected cells to this CSV; it holds cells of the table, so keep it in the hospital."
        ),
    ] = None,
    study: Study = None,
) -> None:
    """Tell every fault of the folder at once: file, row, rule and remedy. The folder's files are not touched."""
    rules = find_rules(folder, study)
    with show_progress("checking", quiet=as_machine) as on_progress:
        report = check_site(folder, on_progress, workers, rules)
    if html is not None:
        write_page(html, report, rules)
    if fix_suggestions is not None:
        write_suggestions(fix_suggestions, report.suggestions)
    if as_machine:
        _print_json({"ok": not report.faults, **_check_json(report)})
    else:
        print_findings(map(convert_fault, report.faults))
        print_findings(map(_convert_doubt, (*report.doubts, *report.notes)))
        _print_check(report, rules)
    raise typer.Exit(1 if report.faults else 0)


def index_command(
    folder: Folder, plan: Plan = None, study: Study = None, workers: Workers = CORES, as_machine: AsJson = False
) -> None:
    """Turn every usable lesion into a sample in the cache; what is cached already is not made again.

    It can be stopped at any time: the same command goes on from there.
    """
    site, processing = load_site(folder), find_processing(folder, plan, study)
    too_many: TooManySkippedError | None = None
    with show_progress("indexing", quiet=as_machine) as on_progress:
        try:
            report = build_index(site, processing, on_progress, workers)
        except TooManySkippedError as error:
            too_many, report = error, error.report
    if as_machine:
        _print_json({"ok": too_many is None, "processing": processing.digest(), **_index_json(report)})
    else:
        print_findings(map(convert_fault, report.faults))
        print_findings(map(_convert_doubt, report.notes))
        _print_index(report, processing.inclusion)
    if too_many is not None:
        raise too_many


def _convert_doubt(doubt: Fault) -> Finding:
    return make_note(doubt.place, f"{doubt.rule}, found {doubt.value}", doubt.remedy)


def output() -> Terminal:
    """The terminal, without colours of its own for numbers and paths."""
    return Terminal()


def _print_check(report: CheckReport, rules: Inclusion) -> None:
    out = output()
    out.print(f"usable lesions: {report.usable} ({_counts(report.cohorts)}; {_counts(report.types)})", soft_wrap=True)
    if report.reads:
        out.print(f"usable diagnoses: {report.reads}")
    _print_left_out(report, rules)
    if report.faults:
        out.print(f"[red]faults: {len(report.faults)}[/]")
        _print_reasons(report.reasons)
    if report.stops_index:
        of = f"{report.skipped} of {report.usable + report.skipped} lesions cannot be used"
        out.print(
            f"[red]`ceus-site index` would stop[/]: {of}, and max_skipped of site.yaml allows {report.max_skipped:.0%}",
            soft_wrap=True,
        )
    if report.doubts:
        out.print(f"[yellow]to be looked at[/]: {len(report.doubts)}, not used until then", soft_wrap=True)
        _print_reasons(count_reasons(report.doubts))
    _print_notes(report)
    if report.suggestions:
        out.print(f"cells that may be mended: {len(report.suggestions)}; --fix-suggestions FILE writes them down")


def _print_index(report: IndexReport, rules: Inclusion) -> None:
    out = output()
    skipped = sum(report.skipped.values())
    out.print(f"lesions read: {report.read} (newly made {report.made}), skipped: {skipped}", soft_wrap=True)
    _print_reasons(report.skipped)
    _print_left_out(report, rules)
    if report.look:
        out.print(f"[yellow]to be looked at[/]: {len(report.look)}, not used until then", soft_wrap=True)
        for look in report.look:
            out.print(f"  row {look.row}, lesion {look.lesion}: {escape(look.found)}", soft_wrap=True)
        columns = {look.column for look in report.look}
        if "track_checked" in columns:
            out.print(
                "`ceus-site show` draws their sheets; write yes in track_checked where the box stays on the lesion"
            )
        if "clip_checked" in columns:
            out.print("write yes in clip_checked where the clips are right all the same")
    _print_notes(report)


def _print_notes(report: CheckReport | IndexReport) -> None:
    if report.notes:
        output().print(f"doubts, used all the same: {len(report.notes)}")
        _print_reasons(count_reasons(report.notes))


def _print_left_out(report: CheckReport | IndexReport, rules: Inclusion) -> None:
    if report.withdrawn:
        output().print(f"of patients who withdrew, and left out: {report.withdrawn}")
    if report.excluded:
        output().print(f"not taken by the study's rules of inclusion: {sum(report.excluded.values())}")
        for reason, count in report.excluded.items():
            _print_count(count, describe_exclusion(reason, rules))


def _print_reasons(reasons: Mapping[str, int]) -> None:
    """A line for each reason of the catalogue, with its name there."""
    for slug, count in reasons.items():
        _print_count(count, f"{translate(REASONS[slug].meaning)} ({slug})" if slug in REASONS else slug)


def _print_count(count: int, words: str) -> None:
    output().print(f"{count:5} \N{MULTIPLICATION SIGN} {escape(translate(words))}", soft_wrap=True)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _check_json(report: CheckReport) -> dict[str, object]:
    return {
        "usable": report.usable,
        "cohorts": dict(report.cohorts),
        "types": dict(report.types),
        "reads": report.reads,
        "withdrawn": report.withdrawn,
        "excluded": dict(report.excluded),
        "index_stops": report.stops_index,
        "suggestions": len(report.suggestions),
        "reasons": dict(count_reasons(report.faults)),
        "faults": [as_json(fault) for fault in report.faults],
        "doubts": [as_json(fault) for fault in report.doubts],
        "notes": [as_json(fault) for fault in report.notes],
    }


def _index_json(report: IndexReport) -> dict[str, object]:
    return {
        "read": report.read,
        "made": report.made,
        "skipped": dict(report.skipped),
        "withdrawn": report.withdrawn,
        "excluded": dict(report.excluded),
        "cohorts": {cohort or "unknown": asdict(intake) for cohort, intake in report.cohorts.items()},
        "look": [look_json(look) for look in report.look],
        "faults": [as_json(fault) for fault in report.faults],
        "notes": [as_json(fault) for fault in report.notes],
    }


def _print_json(document: Mapping[str, object]) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
