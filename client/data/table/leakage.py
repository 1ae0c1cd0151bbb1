"""One patient on both sides of a split: the checks across the rows of a table.

Cohorts are parted by patient. A patient who stands in two of them, under two ids, or whose clip stands under another
patient's id would be learnt from and tested on.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ceus_models.runtime.errors import Fault
from client.data.table.cells import describe_id

_SAMPLE_BYTES = 64 * 2**10
_BLOCK_BYTES = 2**20
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the checks need of one record: None where the record does not tell it.

    clip_checked: as in Row.
    """

    line: int
    lesion_id: str | None
    patient_id: str | None
    cohort: str | None
    clips: tuple[Path, ...]
    clip_checked: bool = False


def find_leaks(entries: Sequence[Entry], file: str) -> list[Fault]:
    """Every leak that the table alone shows, one fault in each row concerned."""
    return [
        *_find_repeated_lesions(entries, file),
        *_find_straddling(entries, file),
        *_find_similar_ids(entries, file),
        *_find_shared_paths(entries, file),
    ]


def find_shared_content(entries: Sequence[Entry], file: str) -> list[Fault]:
    """Clips that are copies of each other, byte for byte, under two patients or in two cohorts.

    Only files of one size are read, and in full only those whose beginning, middle and end agree.
    """
    owned = [(clip, entry) for entry in entries for clip in entry.clips]
    groups: list[list[tuple[Path, Entry]]] = [owned]
    for key in (_read_size, _hash_sample, _hash_file):
        groups = _narrow_groups(groups, key)
    different = [group for group in groups if len({clip for clip, _ in group}) > 1]
    what = "files with the same content"
    found = (fault for group in different for fault in _find_shared([entry for _, entry in group], file, what))
    return list(dict.fromkeys(found))


def fold_id(text: str) -> str:
    """What is left of an id without case, spaces, width, invisible characters and leading zeros of its numbers."""
    plain = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    plain = "".join(character for character in plain if unicodedata.category(character) != "Cf")
    return _LEADING_ZEROS.sub("", plain)


def _find_repeated_lesions(entries: Sequence[Entry], file: str) -> Iterator[Fault]:
    known = [entry for entry in entries if entry.lesion_id is not None]
    for same in _group_by_key(known, lambda entry: entry.lesion_id):
        lines = _format_lines(entry.line for entry in same)
        if len(_list_patients(same)) > 1:
            reason, rule = "lesion-under-two-patients", "a lesion belongs to one patient"
            remedy = "give each lesion its own id, or correct the patient_id"
        else:
            reason, rule = "duplicate-id", "a lesion_id stands in one row"
            remedy = "give each lesion its own id, or remove the repeated row"
        for entry in same:
            yield Fault(file, entry.line, "lesion_id", reason, rule, describe_id(f"the same in rows {lines}"), remedy)


def _find_straddling(entries: Sequence[Entry], file: str) -> Iterator[Fault]:
    known = [entry for entry in entries if entry.patient_id is not None and entry.cohort is not None]
    rule, remedy = "a patient's exams fall in one cohort", "keep the rows of one of the two periods only"
    for same in _group_by_key(known, lambda entry: entry.patient_id):
        cohorts = sorted({str(entry.cohort) for entry in same})
        value = f"{' and '.join(cohorts)} in rows {_format_lines(entry.line for entry in same)}"
        for entry in same if len(cohorts) > 1 else ():
            yield Fault(file, entry.line, "patient_id", "patient-in-two-cohorts", rule, value, remedy)


def _find_similar_ids(entries: Sequence[Entry], file: str) -> Iterator[Fault]:
    known = [entry for entry in entries if entry.patient_id is not None]
    rule = "a patient's id is spelt alike in every row"
    remedy = (
        "write one spelling; where they are two people, give them ids that differ in more than case, spaces or zeros"
    )
    for same in _group_by_key(known, lambda entry: fold_id(str(entry.patient_id))):
        value = describe_id(f"spellings that are nearly the same in rows {_format_lines(entry.line for entry in same)}")
        for entry in same if len({entry.patient_id for entry in same}) > 1 else ():
            yield Fault(file, entry.line, "patient_id", "alike-patient-ids", rule, value, remedy)


def _find_shared_paths(entries: Sequence[Entry], file: str) -> Iterator[Fault]:
    owned = [(clip, entry) for entry in entries for clip in set(entry.clips)]
    groups = _group_by_key(owned, lambda pair: pair[0])
    found = (fault for same in groups for fault in _find_shared([entry for _, entry in same], file, "the same file"))
    yield from dict.fromkeys(found)  # rows that share four clips are told once


def _find_shared(entries: Sequence[Entry], file: str, what: str) -> Iterator[Fault]:
    patients = _list_patients(entries)
    cohorts = {entry.cohort for entry in entries if entry.cohort is not None}
    if len(patients) < 2 and len(cohorts) < 2:
        return
    rule, remedy = "a clip belongs to one patient and one cohort", "correct the clips or the patient_id of these rows"
    lines = sorted({entry.line for entry in entries})
    for line in lines:
        yield Fault(file, line, "clips", "clip-shared", rule, f"{what} in rows {_format_lines(lines)}", remedy)


def _list_patients(entries: Iterable[Entry]) -> set[str]:
    """The patients of some records. A blank is a fault of its own, and no second patient."""
    return {entry.patient_id for entry in entries if entry.patient_id is not None}


def _narrow_groups(
    groups: list[list[tuple[Path, Entry]]], key: Callable[[Path], Hashable]
) -> list[list[tuple[Path, Entry]]]:
    return [same for group in groups for same in _group_by_key(group, lambda pair: key(pair[0]))]


def _group_by_key(items: Iterable[Item], key: Callable[[Item], Hashable]) -> Iterator[list[Item]]:
    """Items with the same key, where there are at least two; those without a key (None) stay out."""
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return (group for found, group in groups.items() if found is not None and len(group) > 1)


def _read_size(path: Path) -> int | None:
    try:
        return path.stat().st_size or None
    except OSError:
        return None


def _hash_sample(path: Path) -> bytes | None:
    """A digest of the beginning, the middle and the end."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            parts = []
            for place in (0, size // 2, size - _SAMPLE_BYTES):
                file.seek(max(0, place))
                parts.append(file.read(_SAMPLE_BYTES))
    except OSError:
        return None
    return hashlib.sha256(b"".join(parts)).digest()


def _hash_file(path: Path) -> bytes | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()


def _format_lines(lines: Iterable[int]) -> str:
    return ", ".join(map(str, lines))
