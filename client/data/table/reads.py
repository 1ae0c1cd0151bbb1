"""`reads.csv`, the radiologists' own diagnoses: what the model is compared with. The file is optional."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ceus_models.runtime.errors import Fault
from ceus_models.study.reader_study import ROLES
from ceus_models.study.taxonomy import LESION_TYPES
from client.data.forms.columns import EXAMPLE_ID, SURE_WORDS
from client.data.forms.site_config import SiteConfig
from client.data.table.cells import YES_NO, RowCells, describe_id
from client.data.table.header import READ_FORM
from client.data.table.table import read_table

_LONGEST_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Read:
    """One diagnosis.

    Attributes:
        line: Line in the table.
        role: One of reading_study.ROLES.
        assisted: Whether the reader saw the model's result.
        diagnosis: One of LESION_TYPES.
        seconds: Reading time, None where not recorded.
        confidence: How sure the reader is, one of reader_study.CONFIDENCE, None where not recorded.
    """

    line: int
    lesion_id: str
    reader: str
    role: str
    assisted: bool
    diagnosis: str
    seconds: float | None
    confidence: int | None = None


def read_reads(site: SiteConfig, lesions: Collection[str]) -> tuple[list[Read], list[Fault]]:
    """The usable diagnoses and all faults, both in the order of the file; nothing where there is no file.

    lesions: the ids of the lesions' table.
    """
    if not site.reads.exists():
        return [], []
    table = read_table(site.reads, site.reads_format, site.labels, READ_FORM)
    rows = [row for row in table.rows() if row.text("lesion_id") != EXAMPLE_ID]
    reads = [_parse_read(row, lesions) for row in rows]
    repeated = list(_find_repeated((read for read in reads if read is not None), table.name))
    blamed = {fault.row for fault in repeated}
    faults = [*table.faults, *repeated, *(fault for row in rows for fault in row.faults)]
    usable = [read for read in reads if read is not None and read.line not in blamed]
    return usable, sorted(faults, key=lambda fault: fault.row or 0)


def _parse_read(row: RowCells, lesions: Collection[str]) -> Read | None:
    lesion, reader = row.parse_identifier("lesion_id"), row.parse_identifier("reader")
    if lesion is not None and lesion not in lesions:
        rule, remedy = "every diagnosis is of a lesion of lesions.csv", "correct the lesion_id, or remove the row"
        row.add_fault("lesion_id", "unknown-lesion", rule, describe_id("an id that is not there"), remedy)
    role = row.parse_choice("role", ROLES, "bad-value")
    assisted = row.parse_flag("assisted", YES_NO)
    diagnosis = row.parse_choice("diagnosis", LESION_TYPES, "unknown-type")
    for column in ("role", "assisted", "diagnosis"):
        if row.is_blank(column):
            row.add_fault(column, "missing-value", f"{column} is filled", "nothing", "write it, or remove the row")
    seconds = row.parse_number("seconds", (0, _LONGEST_S))
    sure = row.parse_choice("confidence", SURE_WORDS, "bad-value")
    if row.faults or lesion is None or reader is None or role is None or diagnosis is None:
        return None
    taken = None if math.isnan(seconds) else seconds
    confidence = int(sure) if sure else None
    return Read(row.line, lesion, reader, role, assisted == 1.0, diagnosis, taken, confidence)


def _find_repeated(reads: Iterable[Read], file: str) -> Iterator[Fault]:
    """A reader has one say on a lesion without the model, and one with it."""
    lines: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
    for read in reads:
        lines[read.lesion_id, read.reader, read.assisted].append(read.line)
    rule = "a reader diagnoses a lesion once without assistance and once with it"
    for same in lines.values():
        value = describe_id(f"the same reader and lesion in rows {', '.join(map(str, same))}")
        for line in same if len(same) > 1 else ():
            yield Fault(file, line, "reader", "repeated-read", rule, value, "keep one of the rows, or correct assisted")
