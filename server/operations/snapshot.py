"""A snapshot of the federation for `status` and the console: from files, and one query to the SuperLink."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from server.federation.expiry import Validity, summarize_validity
from server.federation.federation_file import Federation, load_federation
from server.federation.node_roster import is_up, open_control
from server.federation.site_register import read_register
from server.operations.health import is_superlink_healthy
from server.operations.overview import Overview, build_overview
from server.run_folder.paths import Home

_FRESH_S = 3.0


def take_snapshot(home: Home, federation: Federation) -> tuple[Overview, Validity]:
    """How it stands now. Raises ExpectedError where the coordinator's own files cannot be read."""
    moment = utc_now()
    valid = summarize_validity(home, federation, read_register(home), moment)
    online = None
    if is_up(federation) and is_superlink_healthy(home, federation):
        with suppress(ExpectedError), open_control(home, federation, moment) as control:
            online = control.online()
    return build_overview(home, is_held(home.up_lock), online, [line.name for line in valid.sites]), valid


@dataclass
class SnapshotCache:
    """Cache of snapshots for several readers: one at a time, reused for a few seconds."""

    home: Home
    clock: Callable[[], float] = time.monotonic
    _last: tuple[float, tuple[Overview, Validity]] | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def get(self) -> tuple[Overview, Validity]:
        """Raises as `take_snapshot`."""
        with self._lock:
            if self._last is None or self.clock() - self._last[0] > _FRESH_S:
                self._last = self.clock(), take_snapshot(self.home, load_federation(self.home.federation))
            return self._last[1]
