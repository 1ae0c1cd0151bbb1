"""The site's samples, made once from the table and its files and kept by content. What is there is not made again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

import cv2

from ceus_models.runtime.errors import Fault
from ceus_models.study.processing import Processing
from client.data.dataset.cache import cache_folder, lock_cache, read_marks, sheets_folder
from client.data.dataset.cache_cleanup import remove_samples, remove_sheets
from client.data.dataset.copies import find_copies
from client.data.dataset.file_digests import DigestCache, compute_file_digest
from client.data.dataset.index_file import write_index
from client.data.dataset.index_report import IndexReport, build_report, check_share
from client.data.dataset.review_list import write_review_list
from client.data.dataset.row_faults import make_lost_fault, make_row_doubt
from client.data.dataset.sample_maker import Outcome, SampleMaker
from client.data.dataset.worker_pool import LIMITS, Limits, LostItem, map_items
from client.data.forms.site_config import SiteConfig, make_pseudonym
from client.data.table.inclusion import choose_rows
from client.data.table.manifest import Manifest, read_manifest, select_willing
from client.data.table.rows import Row

Progress = Callable[[int, int], None]
"""Called with lesions done and lesions in all."""


def build_index(
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
    with lock_cache(site):
        table = compute_file_digest(site.table) if site.table.is_file() else ""
        manifest = read_manifest(site).without_copies()
        chosen = choose_rows(manifest.rows, processing.inclusion)
        manifest = replace(manifest, rows=chosen.rows)
        ledger = DigestCache.load(site)
        make_all = _make_samples(SampleMaker(site, processing), manifest.rows, ledger, workers, limits)
        try:
            with closing(make_all) as finished:
                outcomes = _collect(finished, len(manifest.rows), progress)
        finally:
            ledger.save(site)
        rows = select_willing(site, manifest.rows)  # a patient may have withdrawn meanwhile
        outcomes = [outcome for outcome in outcomes if outcome.line in {row.line for row in rows}]
        withdrawn = manifest.withdrawn + len(manifest.rows) - len(rows)
        outcomes, notes = _compare_clips(site, manifest, outcomes)
        report = replace(build_report(site, outcomes, manifest, chosen, withdrawn), notes=notes)
        write_review_list(site, report.look)
        check_share(report, site.max_skipped)
        lesions = [(outcome.line, outcome.file) for outcome in outcomes if outcome.is_sample]
        write_index(site, processing, table, lesions, dict(report.skipped))
        remove_samples(cache_folder(site), {outcome.file for outcome in outcomes})
        remove_sheets(sheets_folder(site), {make_pseudonym(site, "lesion", row.lesion_id) for row in rows})
        return report


def _compare_clips(
    site: SiteConfig, manifest: Manifest, outcomes: Sequence[Outcome]
) -> tuple[list[Outcome], tuple[Fault, ...]]:
    """The outcomes, where lesions that show another patient's clips are faults, and the doubts that are only shown."""
    marks = {one.line: read_marks(cache_folder(site) / one.file) for one in outcomes if one.is_sample}
    copies = find_copies(manifest.entries, {line: mark.likeness for line, mark in marks.items()}, manifest.file)
    blamed = {fault.row: fault for fault in copies}
    kept = [Outcome(one.line, fault=blamed[one.line]) if one.line in blamed else one for one in outcomes]
    told = [make_row_doubt(line, site, doubt) for line, mark in marks.items() for doubt in mark.doubts]
    return kept, tuple(told)


def _make_samples(
    maker: SampleMaker, rows: Sequence[Row], ledger: DigestCache, workers: int, limits: Limits
) -> Generator[Outcome, None, None]:
    """First what the cache has, which needs no process; then the others as they are finished."""
    left: list[Row] = []
    for row in rows:
        kept = maker.find(row, ledger)
        if kept is None:
            left.append(row)
        else:
            yield kept
    with closing(map_items(maker.make, left, min(workers, len(left)), limits)) as results:
        for row, result in results:
            if isinstance(result, LostItem):
                yield Outcome(row.line, fault=make_lost_fault(row, maker.site, result))
            else:
                ledger.seen.update(result.digests)
                yield result


def _collect(finished: Iterable[Outcome], count: int, progress: Progress | None) -> list[Outcome]:
    """What became of all rows, in the order of the table."""
    outcomes: list[Outcome] = []
    for outcome in finished:
        outcomes.append(outcome)
        if progress is not None:
            progress(len(outcomes), count)
    return sorted(outcomes, key=lambda outcome: outcome.line)
