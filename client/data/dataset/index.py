"""The site's samples, made once from the table and its files and kept by content. What is there is not made again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from ceus_models.runtime.errors import ExpectedError, Fault
from ceus_models.study.processing import Processing
from client.data.analysis.pipeline import sample_of
from client.data.analysis.track_quality import UntrustedTrack
from client.data.dataset.cache import SAMPLE_SUFFIX, alone, cache_of, forget_sheets, sheets_of, write_sample
from client.data.dataset.file_digests import Ledger, Unknown, digest_of_file
from client.data.dataset.index_file import CACHE_VERSION, INDEX_FILE, write_index
from client.data.dataset.review_list import Look, look_of, read_look, write_look, write_looks
from client.data.dataset.row_faults import lost_fault, row_fault
from client.data.dataset.worker_pool import LIMITS, Limits, Lost, each
from client.data.forms.site_config import SiteConfig, pseudonym, screens_for
from client.data.imaging.clip import ClipError
from client.data.outlines.outline import OutlineError
from client.data.table.manifest import read_sound
from client.data.table.rows import Row

Progress = Callable[[int, int], None]
"""Called with lesions done and lesions in all."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """read: lesions with a sample · made: of these, newly processed · skipped: lesions without one, by reason · look:
    lesions that a person must look at first, not counted as skipped · faults: why, and what else is wrong with the
    table · path: the summary that was written.
    """

    read: int
    made: int
    skipped: Mapping[str, int]
    look: tuple[Look, ...]
    faults: tuple[Fault, ...]
    path: Path


class TooManySkippedError(ExpectedError):
    """More lesions were skipped than site.yaml allows. report: what was found; nothing of it may be used."""

    def __init__(self, told: str, report: IndexReport) -> None:
        """told: the limit, the count and the remedy."""
        super().__init__(told)
        self.report = report


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of one row: a file of the cache, which is a sample or the reason to look at it, or a fault.

    digests: of files that were read, for the ledger.
    """

    line: int
    file: str = ""
    fresh: bool = False
    look: Look | None = None
    fault: Fault | None = None
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)


def index(
    site: SiteConfig,
    processing: Processing,
    progress: Progress | None = None,
    workers: int = 0,
    limits: Limits = LIMITS,
) -> IndexReport:
    """Makes the samples of all rows of the table that changed, and forgets those that the table no longer has.

    workers: processes, 0 = none, as where a process reads one of many sites; the result does not depend on them. A
    lesion that cannot be read is skipped and counted. Raises TooManySkippedError where more than site.max_skipped of
    the lesions had to be skipped, ExpectedError where another process is at it.
    """
    cv2.setNumThreads(1)
    with alone(site):
        table = digest_of_file(site.table) if site.table.is_file() else ""
        rows, faults = read_sound(site)
        ledger = Ledger.opened(site)
        try:
            with closing(_all_made(rows, (site, processing), ledger, (workers, limits))) as finished:
                done = _counted(finished, len(rows), progress)
        finally:
            ledger.save(site)
        report = _reported(site, done, faults)
        write_looks(site, report.look)
        _check_share(report, site)
        lesions = [(made.line, made.file) for made in done if made.file and made.look is None]
        write_index(site, processing, table, lesions, dict(report.skipped))
        _forget(site, {made.file for made in done})
        forget_sheets(sheets_of(site), {pseudonym(site, "lesion", row.lesion_id) for row in rows})
        return report


def _counted(finished: Iterable[_Made], count: int, progress: Progress | None) -> list[_Made]:
    """What became of all rows, in the order of the table."""
    done: list[_Made] = []
    for made in finished:
        done.append(made)
        if progress is not None:
            progress(len(done), count)
    return sorted(done, key=lambda made: made.line)


def _reported(site: SiteConfig, done: Sequence[_Made], faults: Sequence[Fault]) -> IndexReport:
    ordered = sorted([*faults, *(made.fault for made in done if made.fault)], key=lambda fault: fault.row or 0)
    used = {made.line for made in done if made.fault is None}
    samples = [made for made in done if made.file and made.look is None]
    return IndexReport(
        read=len(samples),
        made=sum(made.fresh for made in samples),
        skipped=_skipped(ordered, used),
        look=tuple(made.look for made in done if made.look),
        faults=tuple(ordered),
        path=site.work / INDEX_FILE,
    )


def _all_made(
    rows: Sequence[Row], settings: tuple[SiteConfig, Processing], ledger: Ledger, crew: tuple[int, Limits]
) -> Generator[_Made, None, None]:
    """First what the cache has, which needs no process; then the others as they are finished."""
    site, processing = settings
    left: list[Row] = []
    for row in rows:
        kept = _kept(row, settings, ledger)
        if kept is None:
            left.append(row)
        else:
            yield kept
    make = partial(_make, site=site, processing=processing)
    with closing(each(make, left, min(crew[0], len(left)), crew[1])) as outcomes:
        for row, outcome in outcomes:
            if isinstance(outcome, Lost):
                yield _Made(row.line, fault=lost_fault(row, site, outcome))
            else:
                ledger.seen.update(outcome.digests)
                yield outcome


def _kept(row: Row, settings: tuple[SiteConfig, Processing], ledger: Ledger) -> _Made | None:
    """The row's file of the cache, where the ledger knows all its files."""
    try:
        return _cached(row, settings[0], content_digest(row, *settings, ledger.known))
    except (Unknown, OSError):
        return None


def _cached(row: Row, site: SiteConfig, digest: str) -> _Made | None:
    path = cache_of(site) / f"{digest}{SAMPLE_SUFFIX}"
    if path.is_file():
        return _Made(row.line, path.name)
    look = read_look(cache_of(site), digest, row.line)
    return None if look is None else _Made(row.line, look.file, look=look)


def _make(row: Row, site: SiteConfig, processing: Processing) -> _Made:
    """Makes one sample unless the cache has it. What is wrong with the files is a fault, what is unforeseen raises."""
    ledger = Ledger(site)
    try:
        digest = content_digest(row, site, processing, ledger.read)
        kept = _cached(row, site, digest)
        if kept is not None:
            return dataclasses.replace(kept, digests=ledger.seen)
        sample, _ = sample_of(row, site, processing)
        path = cache_of(site) / f"{digest}{SAMPLE_SUFFIX}"
        write_sample(sample, path)
        return _Made(row.line, path.name, fresh=True, digests=ledger.seen)
    except UntrustedTrack as error:
        look = look_of(row, site, digest, error)
        write_look(cache_of(site), look)
        return _Made(row.line, look.file, fresh=True, look=look, digests=ledger.seen)
    except (ClipError, OutlineError) as error:
        column = "outline" if isinstance(error, OutlineError) else "clips"
        return _Made(row.line, fault=row_fault(row, site, column, error), digests=ledger.seen)


def content_digest(row: Row, site: SiteConfig, processing: Processing, digest_of: Callable[[Path], str]) -> str:
    """SHA-256 over all that a sample depends on: bytes of clips and outline, the row, templates, settings, secret."""
    values = {
        "version": CACHE_VERSION,
        "processing": processing.digest(),
        "key": pseudonym(site, "lesion", row.lesion_id),
        "patient": pseudonym(site, "patient", row.patient_id),
        "cohort": row.cohort,
        "label": row.label,
        "clips": [(spec.path.suffix.lower(), spec.start_s, digest_of(spec.path)) for spec in row.clips],
        "rate": row.frame_rate_hz,
        "course": (row.timed, row.reinjection_s, row.track_checked),
        "outline": (row.outline.frame, row.outline.pane, row.outline.path.suffix.lower()),
        "outlined": digest_of(row.outline.path),
        "screens": [dataclasses.astuple(screen) for screen in screens_for(site, row.manufacturer)],
        "tints": {name: dataclasses.astuple(tint) for name, tint in site.tints.items()},
        "numbers": [repr(number) for number in (*row.clinical, *row.biomarkers)],
        "groups": dict(row.groups),
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _skipped(faults: Iterable[Fault], used: set[int]) -> dict[str, int]:
    """Lesions that are not used by the first reason of each; faults of the header or of columns skip none."""
    first: dict[int, str] = {}
    for fault in faults:
        if fault.row is not None and fault.row not in used and fault.row > 1:
            first.setdefault(fault.row, fault.reason)
    return dict(Counter(first.values()).most_common())


def _check_share(report: IndexReport, site: SiteConfig) -> None:
    skipped = sum(report.skipped.values())
    total = skipped + report.read + len(report.look)
    if skipped <= site.max_skipped * total:
        return
    report.path.unlink(missing_ok=True)  # an older index would hide what is wrong
    counted = ", ".join(f"{reason} {count}" for reason, count in report.skipped.items())
    raise TooManySkippedError(
        f"at most {site.max_skipped:.0%} of the lesions may be skipped (max_skipped in site.yaml), found {skipped} of "
        f"{total}: {counted}; mend them and run `ceus-site index` again, which keeps what is made",
        report,
    )


def _forget(site: SiteConfig, current: set[str]) -> None:
    """Removes crops of lesions that are no longer in the table, as when a patient withdraws."""
    for path in cache_of(site).iterdir():
        if path.name not in current:
            path.unlink(missing_ok=True)
