"""A snapshot of the federation for `status` and the console: from files, and one query to the SuperLink."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from server.federation.expiry import Validity, summarize_validity
from server.federation.federation_file import Federation, load_federation
from server.federation.node_roster import is_up, open_control
from server.federation.site_register import read_register
from server.operations.health import is_superlink_healthy
from server.operations.overview import Overview, build_overview
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import list_studies

_FRESH_S = 3.0


@dataclass(frozen=True)
class Snapshot:
    """How it stands at one moment.

    Args:
        validity: of all certificates.
        up: whether the daemon lives.
        studies: each by its name.
    """

    validity: Validity
    up: bool
    studies: Mapping[str, Overview]

    def as_json(self) -> dict[str, Any]:
        """Everything, for a machine: that of one study with the federation's, of several below `studies`."""
        documents = [seen.as_json(self.validity) for seen in self.studies.values()]
        if len(documents) == 1:
            return documents[0]
        return {**self.validity.as_json(), "up": self.up, "studies": documents}


def take_snapshot(home: Home, federation: Federation, studies: Sequence[StudyFolder] | None = None) -> Snapshot:
    """How these studies, or all, stand now. Raises ExpectedError where the coordinator's own files cannot be read."""
    moment = utc_now()
    valid = summarize_validity(home, federation, read_register(home), moment)
    online = None
    if is_up(federation) and is_superlink_healthy(home, federation):
        with suppress(ExpectedError), open_control(home, federation, moment) as control:
            online = control.online()
    up, names = is_held(home.up_lock), [line.name for line in valid.sites]
    chosen = list_studies(home) if studies is None else studies
    return Snapshot(valid, up, {study.name: build_overview(study, up, online, names) for study in chosen})


@dataclass
class SnapshotCache:
    """Cache of snapshots for several readers: one at a time, reused for a few seconds."""

    home: Home
    clock: Callable[[], float] = time.monotonic
    _last: tuple[float, Snapshot] | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def get(self) -> Snapshot:
        """Raises as `take_snapshot`."""
        with self._lock:
            if self._last is None or self.clock() - self._last[0] > _FRESH_S:
                self._last = self.clock(), take_snapshot(self.home, load_federation(self.home.federation))
            return self._last[1]
