"""The faults of a hospital's folder as one page of HTML: no script, no network, readable and printable as it is."""

from __future__ import annotations

from pathlib import Path

from ceus_models.runtime.errors import ExpectedError, Fault
from ceus_models.runtime.language.reader_language import Verbatim
from ceus_models.web.templates import render
from client.data.dataset.check import CheckReport
from client.faults.catalogue import REASONS

_SHOWN = 20
"""A reason with more faults is folded at first."""


def write_page(path: Path, report: CheckReport) -> None:
    """Writes the page. Raises ExpectedError where it cannot be written."""
    try:
        path.write_text(page_of(report), encoding="utf-8")
    except OSError as error:
        raise ExpectedError(f"the page cannot be written ({error.strerror}); name a file in a folder") from None


def page_of(report: CheckReport) -> str:
    """The whole page. It holds what faults hold: no id, no name, no date, no path of a clip."""
    rows: dict[str, list[list[str]]] = {reason: [] for reason in report.reasons}
    for fault in report.faults:
        rows[fault.reason].append(_row(fault))
    return render(
        "client.cli", "check.html", title="ceus-site check", report=report, reasons=REASONS, rows=rows, most=_SHOWN
    )


def _row(fault: Fault) -> list[str]:
    row = "" if fault.row is None else str(fault.row)
    return [Verbatim(fault.file), row, Verbatim(fault.column), fault.rule, fault.value, fault.remedy]
