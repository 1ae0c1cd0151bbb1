"""The faults of a hospital's folder as one page of HTML: no script, no network, readable and printable as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError, Fault
from ceus_models.runtime.language.reader_language import Verbatim
from ceus_models.study.inclusion import STUDY_RULES, Inclusion, describe_exclusion
from ceus_models.web.templates import render
from client.data.dataset.check import CheckReport
from client.faults.catalogue import REASONS
from client.faults.fault import count_reasons

_SHOWN = 20
"""A reason with more faults is folded at first."""


def write_page(path: Path, report: CheckReport, rules: Inclusion = STUDY_RULES) -> None:
    """Writes the page. Raises ExpectedError where it cannot be written."""
    try:
        path.write_text(page_of(report, rules), encoding="utf-8")
    except OSError as error:
        raise ExpectedError(f"the page cannot be written ({error.strerror}); name a file in a folder") from None


def page_of(report: CheckReport, rules: Inclusion = STUDY_RULES) -> str:
    """The whole page. It holds what faults hold: no id, no name, no date, no path of a clip."""
    return render(
        "client.cli",
        "check.html",
        title="ceus-site check",
        report=report,
        excluded={describe_exclusion(reason, rules): count for reason, count in report.excluded.items()},
        reasons=REASONS,
        rows=_group(report.faults),
        doubts=_group((*report.doubts, *report.notes)),
        most=_SHOWN,
    )


def _group(faults: Sequence[Fault]) -> dict[str, list[list[str]]]:
    """The rows of a table for each reason, the commonest first."""
    rows: dict[str, list[list[str]]] = {reason: [] for reason in count_reasons(faults)}
    for fault in faults:
        rows[fault.reason].append(_row(fault))
    return rows


def _row(fault: Fault) -> list[str]:
    row = "" if fault.row is None else str(fault.row)
    return [Verbatim(fault.file), row, Verbatim(fault.column), fault.rule, fault.value, fault.remedy]
