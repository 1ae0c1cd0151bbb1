"""What became of a site's lesions: how many were read, which were skipped and why, and whether these are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError, Fault
from client.data.dataset.index_file import INDEX_FILE
from client.data.dataset.review_list import ReviewItem
from client.data.dataset.sample_maker import Outcome
from client.data.forms.site_config import SiteConfig
from client.data.table.inclusion import Chosen
from client.data.table.manifest import Manifest


@dataclass(frozen=True)
class Intake:
    """What became of a cohort's lesions.

    Attributes:
        read: Lesions with a sample.
        look: Lesions that a person must check first.
        excluded, skipped: Lesions by reason.
    """

    read: int = 0
    look: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The result of building the index.

    Attributes:
        read: Lesions with a sample.
        made: Of these, newly processed.
        skipped: Lesions without a sample, by reason.
        look: Lesions that a person must check first, not counted as skipped.
        faults: Faults of the skipped lesions and of the table.
        path: The summary that was written.
        withdrawn: Lesions of patients who withdrew, which are left out.
        notes: Doubts of lesions that are used all the same.
        excluded: Lesions that the study does not take, by reason; they count as neither read nor skipped.
        cohorts: The same counts by cohort, "" where a row does not tell its cohort.
    """

    read: int
    made: int
    skipped: Mapping[str, int]
    look: tuple[ReviewItem, ...]
    faults: tuple[Fault, ...]
    path: Path
    withdrawn: int = 0
    notes: tuple[Fault, ...] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)
    cohorts: Mapping[str, Intake] = field(default_factory=dict)


class TooManySkippedError(ExpectedError):
    """More lesions were skipped than site.yaml allows. report: what was found; nothing of it may be used."""

    def __init__(self, message: str, report: IndexReport) -> None:
        """message: the limit, the count and the remedy."""
        super().__init__(message)
        self.report = report


def build_report(
    site: SiteConfig, outcomes: Sequence[Outcome], manifest: Manifest, chosen: Chosen, withdrawn: int = 0
) -> IndexReport:
    """Build the report of an index run.

    Args:
        outcomes: Outcomes of all rows that the study takes, in the order of the table.
        manifest: The table.
        chosen: Its rows by the study's rules of inclusion.
        withdrawn: Lesions of patients who withdrew.
    """
    faults = [*manifest.faults, *(one.fault for one in outcomes if one.fault)]
    ordered = sorted(faults, key=lambda fault: fault.row or 0)
    samples = [one for one in outcomes if one.is_sample]
    skipped = find_skipped(ordered, {one.line for one in outcomes if one.fault is None}, manifest.header_row)
    return IndexReport(
        read=len(samples),
        made=sum(one.fresh for one in samples),
        skipped=dict(Counter(skipped.values()).most_common()),
        look=tuple(one.look for one in outcomes if one.look),
        faults=tuple(ordered),
        path=site.work / INDEX_FILE,
        withdrawn=withdrawn,
        excluded=chosen.excluded,
        cohorts=_count_cohorts(outcomes, manifest, chosen.reasons, skipped),
    )


def _count_cohorts(
    outcomes: Sequence[Outcome], manifest: Manifest, excluded: Mapping[int, str], skipped: Mapping[int, str]
) -> dict[str, Intake]:
    """excluded, skipped: line of the table → reason."""
    cohorts = {entry.line: entry.cohort or "" for entry in manifest.entries}

    def count(lines: Iterable[int], cohort: str) -> int:
        return sum(cohorts.get(line, "") == cohort for line in lines)

    def count_reasons(reasons: Mapping[int, str], cohort: str) -> dict[str, int]:
        return dict(Counter(reason for line, reason in reasons.items() if cohorts.get(line, "") == cohort))

    read, look = [one.line for one in outcomes if one.is_sample], [one.line for one in outcomes if one.look]
    lines = (*read, *look, *excluded, *skipped)
    return {
        cohort: Intake(
            count(read, cohort), count(look, cohort), count_reasons(excluded, cohort), count_reasons(skipped, cohort)
        )
        for cohort in sorted({cohorts.get(line, "") for line in lines})
    }


def check_share(report: IndexReport, max_skipped: float) -> None:
    """Raises TooManySkippedError, and takes the older index away, which would hide what is wrong.

    max_skipped: share of the lesions, 0-1.
    """
    skipped = sum(report.skipped.values())
    total = skipped + report.read + len(report.look)
    if not exceeds_share(skipped, total, max_skipped):
        return
    report.path.unlink(missing_ok=True)
    counted = ", ".join(f"{reason} {count}" for reason, count in report.skipped.items())
    raise TooManySkippedError(
        f"at most {max_skipped:.0%} of the lesions may be skipped (max_skipped in site.yaml), found {skipped} of "
        f"{total}: {counted}; mend them and run `ceus-site index` again, which keeps what is made",
        report,
    )


def exceeds_share(skipped: int, total: int, max_skipped: float) -> bool:
    """Whether more lesions had to be skipped than site.yaml allows."""
    return skipped > max_skipped * total


def find_skipped(faults: Iterable[Fault], used: AbstractSet[int], header_row: int) -> dict[int, str]:
    """Line of each lesion that is not used → its first reason; faults of the header or of columns skip none."""
    first: dict[int, str] = {}
    for fault in faults:
        if fault.row is not None and fault.row not in used and fault.row > header_row:
            first.setdefault(fault.row, fault.reason)
    return first
