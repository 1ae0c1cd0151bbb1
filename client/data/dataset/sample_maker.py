"""One row of the table to one sample of the cache, made only where the cache has none of the same content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.errors import Fault
from ceus_models.study.processing import Processing
from client.data.analysis.pipeline import build_sample
from client.data.analysis.track_quality import UntrustedTrack
from client.data.dataset.cache import SAMPLE_SUFFIX, ClipMarks, cache_folder, write_sample
from client.data.dataset.file_digests import DigestCache, UnknownDigestError
from client.data.dataset.index_file import CACHE_VERSION
from client.data.dataset.review_list import ReviewItem, make_review_item, read_review_item, write_review_item
from client.data.dataset.row_faults import make_row_fault
from client.data.forms.site_config import SiteConfig, make_pseudonym, select_screens
from client.data.imaging.clip import ClipError, locate_file
from client.data.outlines.outline import OutlineError
from client.data.table.rows import Row
from client.faults.fault import DoubtedClip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row: a file of the cache, which is a sample or the reason to look at it, or a fault.

    digests: of files that were read, for the ledger.
    """

    line: int
    file: str = ""
    fresh: bool = False
    look: ReviewItem | None = None
    fault: Fault | None = None
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_sample(self) -> bool:
        """Whether there is a sample that may be used."""
        return bool(self.file) and self.look is None and self.fault is None


@dataclass(frozen=True)
class SampleMaker:
    """Makes the samples of one site with one set of settings. Picklable."""

    site: SiteConfig
    processing: Processing

    def find(self, row: Row, ledger: DigestCache) -> Outcome | None:
        """What the cache has of a row, where the ledger knows all its files: none of them is read."""
        try:
            return self._find_cached(row, self._compute_digest(row, ledger.lookup))
        except (UnknownDigestError, ClipError, OSError):
            return None

    def make(self, row: Row) -> Outcome:
        """Makes one sample unless the cache has it. What is wrong with the files is a fault; the unforeseen raises."""
        ledger, cache = DigestCache(self.site), cache_folder(self.site)
        try:
            digest = self._compute_digest(row, ledger.read)
            kept = self._find_cached(row, digest)
            if kept is not None:
                return dataclasses.replace(kept, digests=ledger.seen)
            sample, trace = build_sample(row, self.site, self.processing)
            path = cache / f"{digest}{SAMPLE_SUFFIX}"
            write_sample(sample, path, ClipMarks(trace.likeness, trace.shown))
            return Outcome(row.line, path.name, fresh=True, digests=ledger.seen)
        except (UntrustedTrack, DoubtedClip) as error:
            look = make_review_item(row, self.site, digest, error)
            write_review_item(cache, look)
            return Outcome(row.line, look.file, fresh=True, look=look, digests=ledger.seen)
        except (ClipError, OutlineError) as error:
            return Outcome(row.line, fault=make_row_fault(row, self.site, error), digests=ledger.seen)

    def _find_cached(self, row: Row, digest: str) -> Outcome | None:
        cache = cache_folder(self.site)
        if (cache / f"{digest}{SAMPLE_SUFFIX}").is_file():
            return Outcome(row.line, f"{digest}{SAMPLE_SUFFIX}")
        look = read_review_item(cache, digest, row.line)
        return None if look is None else Outcome(row.line, look.file, look=look)

    def _compute_digest(self, row: Row, digest_of: Callable[[Path], str]) -> str:
        """SHA-256 over all that a sample depends on: bytes of clips and outline, row, templates, settings, secret."""
        values = {
            "version": CACHE_VERSION,
            "processing": self.processing.digest_of_sample(),
            "key": make_pseudonym(self.site, "lesion", row.lesion_id),
            "patient": make_pseudonym(self.site, "patient", row.patient_id),
            "cohort": row.cohort,
            "label": row.label,
            "clips": [
                (spec.path.suffix.lower(), spec.start_s, digest_of(locate_file(spec.path))) for spec in row.clips
            ],
            "rate": row.frame_rate_hz,
            "course": (row.timed, row.reinjection_s, row.track_checked, row.clip_checked),
            "outline": (row.outline.frame, row.outline.pane, row.outline.path.suffix.lower()),
            "outlined": digest_of(row.outline.path),
            "outline_labels": dict(self.site.outline_labels),
            "screens": [dataclasses.astuple(screen) for screen in select_screens(self.site, row.manufacturer)],
            "tints": {name: dataclasses.astuple(tint) for name, tint in self.site.tints.items()},
            "numbers": [repr(number) for number in (*row.clinical, *row.biomarkers)],
            "groups": dict(row.groups),
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
