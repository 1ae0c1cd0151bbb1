"""The fault of a row of the table whose files cannot be used, foreseen by a reader or not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TypeVar

from ceus_models.runtime.errors import Fault
from client.data.dataset.worker_pool import LostItem, map_items
from client.data.forms.site_config import SiteConfig
from client.data.imaging.recording import ClipError
from client.data.outlines.outline import OutlineError
from client.data.table.rows import Files, Row
from client.faults.fault import Doubt

Result = TypeVar("Result")
_RULES = {
    "reading-failed": "the files of a lesion can be read",
    "reading-crashed": "the decoders survive the files of a lesion",
    "reading-too-long": "a lesion is read within the time limit",
    "reading-too-large": "a lesion is read within the memory limit",
}


def make_row_fault(row: Row | Files, site: SiteConfig, error: ClipError | OutlineError, which: str = "") -> Fault:
    """The fault that an error of reading is. which: "clip 2 of 3", "" where there is one only."""
    column = "outline" if isinstance(error, OutlineError) else "clips"
    value = f"{which}: {error.value}" if which else error.value
    return Fault(site.table.name, row.line, column, error.reason, error.rule, value, error.remedy)


def make_row_doubt(line: int, site: SiteConfig, doubt: Doubt, which: str = "") -> Fault:
    """A doubt in the form of a fault, which it becomes where nobody looks at it. line, which: as of a fault."""
    value = f"{which}: {doubt.value}" if which else doubt.value
    return Fault(site.table.name, line, "clips", doubt.reason, doubt.rule, value, doubt.remedy)


def map_rows(
    read: Callable[[Row], Result | Fault], rows: Sequence[Row], site: SiteConfig, workers: int
) -> Generator[tuple[Row, Result | Fault], None, None]:
    """Every row with what was read of it, in the order in which they are finished; a lost lesion is a fault.

    Close it to end the workers at once. workers: processes, 0 = none.
    """
    with closing(map_items(read, rows, min(workers, len(rows)))) as outcomes:
        for row, outcome in outcomes:
            yield row, make_lost_fault(row, site, outcome) if isinstance(outcome, LostItem) else outcome


def make_lost_fault(row: Row | Files, site: SiteConfig, lost: LostItem) -> Fault:
    """The fault that a lost lesion is."""
    remedy = "export its clips and its outline again; if that does not help, report the finding"
    return Fault(site.table.name, row.line, "clips", lost.reason, _RULES[lost.reason], lost.detail, remedy)
