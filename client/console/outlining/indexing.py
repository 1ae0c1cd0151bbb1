"""What must follow outlining: samples made anew, as `ceus-site index` does, in the background of the console."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from client.console.outlining.cases import Case
from client.data.dataset.index import build_index
from client.data.dataset.index_file import INDEX_FILE, read_index
from client.data.forms.site_config import SiteConfig
from client.service.sample_settings import find_processing


@dataclass
class Indexing:
    """One run at a time.

    Attributes:
        done, count: Lesions of the run under way, or of the last one.
        trouble: Why the last run made no index, "" where it did.
    """

    done: int = field(default=0, init=False)
    count: int = field(default=0, init=False)
    trouble: str = field(default="", init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def is_running(self) -> bool:
        """Whether samples are being made."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, site: SiteConfig) -> None:
        """Begin, unless a run is under way. Raises ExpectedError where studies differ in their settings."""
        processing = find_processing(site.folder)
        with self._lock:
            if self.is_running():
                return
            self.done, self.count, self.trouble = 0, 0, ""
            self._thread = threading.Thread(target=self._run, args=(site, processing), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until the run has ended, for tests."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, site: SiteConfig, processing: Processing) -> None:
        try:
            build_index(site, processing, self._show, max(1, (os.cpu_count() or 1) // 2))
        except ExpectedError as error:
            self.trouble = str(error)
        except OSError as error:
            self.trouble = f"the site's work folder cannot be written ({error.strerror}); make room there"

    def _show(self, done: int, count: int) -> None:
        self.done, self.count = done, count


def find_need(site: SiteConfig, cases: Sequence[Case]) -> str:
    """Why the index must be made anew, "" where it is of the table and of the outlines as they are."""
    try:
        read_index(site)
    except ExpectedError as error:
        return str(error)
    made = (site.work / INDEX_FILE).stat().st_mtime_ns
    drawn = [case.outline.path for case in cases if case.outline is not None]
    if any(path.exists() and path.stat().st_mtime_ns > made for path in drawn):
        return "outlines have changed since the index was made; run `ceus-site index` again"
    return ""
