"""The lesions that a task may use: those of the index, tables and withdrawals of the moment, without a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.runtime.atomic_files import write_first
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from client.data.dataset.current_samples import CurrentSamples, SampleSet
from client.data.forms.withdrawals import count_withdrawn
from client.policy.policy import TaskDeclined
from client.worker.site.patient_rounds import INDEXES
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.memory_layout import settle_index

CHANGED = "lesions of this site were changed or withdrawn while it worked on this task; ask again"


@dataclass(frozen=True, eq=False)
class Holding:
    """The lesions of one task. index: digest, "" where the lesions never change."""

    lesions: SampleSet
    index: str = ""


@dataclass
class SiteLesions:
    """The lesions of a hospital's folder.

    Args:
        current: reads them.
        records: where every index that was answered from is kept, and who withdrew.
        memory: folder of what is made from them.
        compute: may hold their images.
        log: told what the hospital should know.
    """

    current: CurrentSamples
    records: Path
    memory: Path
    compute: ComputeDevice
    log: Callable[[str], None]
    _held: Holding | None = field(default=None, init=False)

    def load(self) -> Holding:
        """The lesions as of now; what is left of lesions that are gone is deleted first.

        Raises:
            TaskDeclined: the index is not of the tables as they are, or cannot be read.
            OSError: the index cannot be written down.
        """
        try:
            found = self.current.load()
        except ExpectedError as error:
            self.log(str(error))
            raise TaskDeclined(
                "processing",
                "this site's index is of other tables, or cannot be read; its log says more, and its IT runs "
                "`ceus-site index`",
            ) from None
        if self._held is None or self._held.lesions is not found:
            self._held = self._take(found)
        return self._held

    def check(self, used: Sequence[Sample], holding: Holding) -> None:
        """Check that lesions that were used are still to be used. Raises TaskDeclined, and as `load`."""
        if not self.load().lesions.holds(used, holding.lesions):
            raise TaskDeclined("processing", CHANGED)

    def count_withdrawn(self, lesions: Sequence[str]) -> int:
        """Patients who withdrew and had one of these lesions. Raises ExpectedError."""
        return count_withdrawn(self.records, lesions)

    def _take(self, found: SampleSet) -> Holding:
        record = found.record()
        index = hashlib.sha256(record).hexdigest()
        write_first(self.records / INDEXES / f"{index}.json", record)
        gone = settle_index(self.memory, index, found.files)
        if self._held and self.compute.lesions:
            kept = set(found.samples)
            self.compute.lesions.forget(sample for sample in self._held.lesions.samples if sample not in kept)
        said = "; what was made of lesions that are gone is deleted" if gone else ""
        self.log(f"index {index[:12]} is in force: {len(found.samples)} lesions{said}")
        return Holding(found, index)
