"""The samples as index, tables and withdrawals are now: loaded again where one of these files is another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.index_file import INDEX_FILE, read_index
from client.data.dataset.samples import read_indexed_samples
from client.data.forms.site_config import SiteConfig
from client.data.forms.withdrawals import WITHDRAWN_FILE


@dataclass(frozen=True, eq=False)
class SampleSet:
    """The lesions of one state of the index.

    Args:
        samples: in the order of the table.
        processing: digest of the settings that made them.
        files: lesion → name of its sample, which changes with all that the sample depends on.
    """

    samples: Sequence[Sample]
    processing: str
    files: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> bytes:
        """Which lesions these are, by pseudonym, as canonical JSON."""
        lesions = [
            {"lesion": s.key, "patient": s.patient, "cohort": s.cohort, "sample": self.files[s.key]}
            for s in sorted(self.samples, key=lambda s: s.key)
        ]
        return json.dumps({"processing": self.processing, "lesions": lesions}, sort_keys=True).encode()

    def mark(self, samples: Iterable[Sample]) -> str:
        """SHA-256 over some of the lesions and their content."""
        return hashlib.sha256("\n".join(sorted(self.files[s.key] for s in samples)).encode()).hexdigest()

    def holds(self, used: Iterable[Sample], before: SampleSet) -> bool:
        """Whether lesions of another set are here with the same content."""
        return all(self.files.get(sample.key) == before.files[sample.key] for sample in used)


@dataclass
class CurrentSamples:
    """The samples of a site's folder. A sample that did not change stays the same object."""

    site: SiteConfig
    _seen: tuple[tuple[str, ...], SampleSet] | None = field(default=None, init=False)

    def load(self) -> SampleSet:
        """The samples as of now.

        Raises:
            ExpectedError: there is no index, it is of another state of the table, or a file cannot be read.
        """
        stamp = self._compute_stamp()
        while self._seen is None or self._seen[0] != stamp:
            try:
                found = self._read()
            except ExpectedError:
                if self._compute_stamp() == stamp:
                    raise
                found = None  # an index was written while the older one was read
            after = self._compute_stamp()
            if found is not None and after == stamp:
                self._seen = stamp, found
            stamp = after
        return self._seen[1]

    def _read(self) -> SampleSet:
        known = self._seen[1] if self._seen else None
        names = {name: key for key, name in known.files.items()} if known else {}
        by_key = {sample.key: sample for sample in known.samples} if known else {}
        indexed = read_index(self.site)
        found = read_indexed_samples(self.site, indexed, {name: by_key[key] for name, key in names.items()})
        return SampleSet(list(found.values()), indexed.digest, {sample.key: name for name, sample in found.items()})

    def _compute_stamp(self) -> tuple[str, ...]:
        """Digests of the files that say what the samples are."""
        site = self.site
        return tuple(map(_digest, (site.work / INDEX_FILE, site.table, site.reads, site.records / WITHDRAWN_FILE)))


def _digest(path: Path) -> str:
    """Of the content; "" where there is none."""
    try:
        return compute_file_digest(path)
    except OSError:
        return ""
