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


class TooManySkippedError(ExpectedError):
    """More lesions were skipped than site.yaml allows. report: what was found; nothing of it may be used."""

    def __init__(self, message: str, report: IndexReport) -> None:
        """message: the limit, the count and the remedy."""
        super().__init__(message)
        self.report = report


def build_report(
    site: SiteConfig, outcomes: Sequence[Outcome], faults: Sequence[Fault], withdrawn: int = 0, header_row: int = 1
) -> IndexReport:
    """Build the report of an index run.

    Args:
        outcomes: Outcomes of all rows, in the order of the table.
        faults: Faults of the table.
        header_row: Row of the table's header.
        withdrawn: Lesions of patients who withdrew.
    """
    ordered = sorted([*faults, *(one.fault for one in outcomes if one.fault)], key=lambda fault: fault.row or 0)
    samples = [one for one in outcomes if one.is_sample]
    return IndexReport(
        read=len(samples),
        made=sum(one.fresh for one in samples),
        skipped=count_skipped(ordered, {one.line for one in outcomes if one.fault is None}, header_row),
        look=tuple(one.look for one in outcomes if one.look),
        faults=tuple(ordered),
        path=site.work / INDEX_FILE,
        withdrawn=withdrawn,
    )


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


def count_skipped(faults: Iterable[Fault], used: AbstractSet[int], header_row: int) -> dict[str, int]:
    """Lesions that are not used by the first reason of each; faults of the header or of columns skip none."""
    first: dict[int, str] = {}
    for fault in faults:
        if fault.row is not None and fault.row not in used and fault.row > header_row:
            first.setdefault(fault.row, fault.reason)
    return dict(Counter(first.values()).most_common())
