"""One patient on both sides, found by content: clips of the same pictures under two patients or in two cohorts.

A digest of the decoded panes is compared (client/data/imaging/likeness.py), so that another name, UID, compression or
length hides nothing. Copies of files are found before anything is decoded (client/data/table/leakage.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from ceus_models.runtime.errors import Fault
from client.data.imaging.likeness import ALIKE, I8, compare_likeness
from client.data.table.leakage import Entry

REASON = "clip-shared"


def find_copies(
    entries: Sequence[Entry], likenesses: Mapping[int, Sequence[I8]], file: str, known: Collection[Fault] = ()
) -> list[Fault]:
    """A fault in each row whose clips show the pictures of another patient or another cohort.

    Two rows whose clips a person has looked at, both of them, are two recordings that look alike.

    Args:
        entries: Records of the table.
        likenesses: Line → digests of the lesion's clips.
        file: Name of the table.
        known: Faults that are told already; rows whose copy is among them are not told again.
    """
    told = {fault.row for fault in known if fault.reason == REASON}
    found = {entry.line: entry for entry in entries if likenesses.get(entry.line)}
    others: dict[int, set[int]] = {}
    for one, other in _find_alike(likenesses, list(found)):
        if _share(found[one], found[other]) and not {one, other} <= told:
            others.setdefault(one, set()).add(other)
            others.setdefault(other, set()).add(one)
    return [_make_fault(file, line, sorted(rows)) for line, rows in sorted(others.items())]


def _find_alike(likenesses: Mapping[int, Sequence[I8]], lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of lines, of each the smaller one first, that have a clip of the same pictures."""
    owners = np.array([line for line in lines for _ in likenesses[line]], dtype=np.int64)
    if len(owners) < 2:
        return
    digests = np.stack([digest for line in lines for digest in likenesses[line]])
    for place in range(len(digests) - 1):
        alike = compare_likeness(digests[place], digests[place + 1 :]) > ALIKE
        for other in set(owners[place + 1 :][alike].tolist()) - {int(owners[place])}:
            yield min(int(owners[place]), other), max(int(owners[place]), other)


def _share(one: Entry, other: Entry) -> bool:
    """Whether the two would be on both sides: lesions of one patient in one cohort may share a clip."""
    if one.clip_checked and other.clip_checked:
        return False
    cohorts = {entry.cohort for entry in (one, other) if entry.cohort is not None}
    return one.patient_id != other.patient_id or len(cohorts) > 1


def _make_fault(file: str, line: int, others: Sequence[int]) -> Fault:
    rows = f"row {others[0]}" if len(others) == 1 else f"rows {', '.join(map(str, others))}"
    return Fault(
        file,
        line,
        "clips",
        REASON,
        "a clip belongs to one patient and one cohort",
        f"the pictures of {rows} again, whatever the files are called",
        "correct the clips or the patient_id of these rows; where they are two recordings, write yes in clip_checked "
        "of all these rows",
    )
