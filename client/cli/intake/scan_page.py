"""What a scan found as one page of HTML beside its pictures: no script, no network, no name of the export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.web.templates import render
from client.data.scan.draft import TO_WRITE, NamedExam, fill_row
from client.data.scan.scan import ScanReport
from client.data.scan.scan_files import PAGE_FILE, PICTURE_FOLDER
from client.faults.catalogue import REASONS


def write_scan_page(report: ScanReport) -> Path:
    """The page; its pictures are those of the scan, which it names. Raises OSError."""
    path = report.clips.parent / PAGE_FILE
    write_atomically(path, format_page(report).encode())
    return path


def format_page(report: ScanReport) -> str:
    """The whole page."""
    return render(
        "client.cli",
        "scan.html",
        title="ceus-site scan",
        report=report,
        exams=[(named, _list_tasks(named)) for named in report.exams],
        clips=sum(len(named.exam.clips) for named in report.exams),
        rows=sum(bool(named.places) for named in report.exams),
        faults=_describe_faults(report.faults),
        there={path.stem for path in report.pictures.glob("*.png")},
        folder=PICTURE_FOLDER,
    )


def _list_tasks(named: NamedExam) -> Sequence[str]:
    """What remains to be written in the row of an exam."""
    return fill_row(named)[TO_WRITE].split("; ") if named.places else ()


def _describe_faults(counts: Mapping[str, int]) -> list[list[object]]:
    """Reason, clips, what it means and what to do."""
    return [[reason, count, REASONS[reason].meaning, REASONS[reason].remedy] for reason, count in counts.items()]
