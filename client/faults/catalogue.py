"""The fault catalogue: every reason to reject a file, a cell or a lesion, what it means and what to do.

The table of errors in docs/site.md and the page of `ceus-site check --html` are made from it. A fault itself says
more: the place, the rule with its numbers, and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping

from client.faults.lesion_reasons import CLIPS, EXAMS, OUTLINES, READING
from client.faults.reason import Reason
from client.faults.table_reasons import CELLS, LEAKS, READS, SITE, TABLE

SECTIONS: Mapping[str, tuple[Reason, ...]] = {
    "site.yaml": SITE,
    "The table": TABLE,
    "Cells": CELLS,
    "Patients and cohorts": LEAKS,
    "Clips": CLIPS,
    "The exam of a lesion": EXAMS,
    "Outlines": OUTLINES,
    "Reading a lesion": READING,
    "reads.csv": READS,
}
"""Title → reasons, in the order in which a person meets them."""
REASONS: Mapping[str, Reason] = {reason.slug: reason for section in SECTIONS.values() for reason in section}


def as_markdown() -> str:
    """The whole catalogue as tables, one a section."""
    parts = []
    for title, reasons in SECTIONS.items():
        lines = [f"| `{reason.slug}` | {reason.meaning} | {reason.remedy} |" for reason in reasons]
        parts.append(
            "\n".join([f"### {title}", "", "| reason | what it means | what to do |", "|---|---|---|", *lines])
        )
    return "\n\n".join(parts) + "\n"
