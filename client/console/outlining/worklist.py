"""The worklist: lesions without an outline, doubtful tracks, faults, and what is done.

The table's faults are known at once. Those of clips need every file's head, so a thread looks through them in the
background, and each lesion's finding is kept until a file of it changes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from ceus_models.runtime.errors import Fault
from client.console.outlining.cases import Case, list_cases
from client.data.dataset.check import check_row
from client.data.dataset.review_list import LOOK_FILE
from client.data.dataset.row_faults import make_lost_fault
from client.data.dataset.worker_pool import LostItem, map_items
from client.data.forms.site_config import SiteConfig, make_pseudonym

State = Literal["outline", "doubtful", "faults", "done"]
STATES: Mapping[State, str] = {
    "outline": "Without outline",
    "doubtful": "Doubtful tracks",
    "faults": "Faults",
    "done": "Done",
}
"""In the order in which they are worked on."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One lesion of the worklist. why: the doubts or the faults, "" where there are none."""

    case: Case
    state: State
    why: str


@dataclass
class Worklist:
    """What is to be done at a site. Doubts that an outline of this session gave come before those of the index."""

    site: SiteConfig
    _doubts: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    _found: dict[object, tuple[Fault, ...]] = field(default_factory=dict, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def list_items(self) -> tuple[WorkItem, ...]:
        """Every lesion, in the order of STATES and then of the table."""
        cases = list_cases(self.site)
        self._look_through(cases)
        doubts = self._read_doubts()
        items = [self._make_item(case, doubts) for case in cases]
        return tuple(sorted(items, key=lambda item: list(STATES).index(item.state)))

    def count_looked_at(self, items: Sequence[WorkItem]) -> int:
        """How many lesions' files were looked through."""
        return sum(_stamp(item.case) in self._found for item in items)

    def keep_doubts(self, case: Case, doubts: tuple[str, ...]) -> None:
        """What the track of a lesion's present outline is doubted for; empty where it is trusted."""
        self._doubts[case.lesion_id] = doubts

    def wait(self) -> None:
        """Until all files were looked through, for tests."""
        if self._thread is not None:
            self._thread.join()

    def _make_item(self, case: Case, doubts: Mapping[str, str]) -> WorkItem:
        faults = (*case.faults, *self._found.get(_stamp(case), ()))
        doubt = "; ".join(self._doubts[case.lesion_id]) if case.lesion_id in self._doubts else ""
        if case.lesion_id not in self._doubts and not self._is_newer(case):
            doubt = doubts.get(make_pseudonym(self.site, "lesion", case.lesion_id), "")
        why = "; ".join(f"{fault.column}: {fault.rule}, found {fault.value}" for fault in faults)
        if case.outline is None:
            return WorkItem(case, "outline", why)
        if doubt and not case.track_checked:
            return WorkItem(case, "doubtful", doubt)
        return WorkItem(case, "faults" if faults else "done", why)

    def _is_newer(self, case: Case) -> bool:
        """Whether the outline was drawn after the index that doubted the track."""
        if case.outline is None:
            return False
        return _read_stamp(case.outline.path)[0] > _read_stamp(self.site.work / LOOK_FILE)[0]

    def _read_doubts(self) -> Mapping[str, str]:
        """Pseudonym of a lesion → the doubts that the last index found."""
        try:
            listed = json.loads((self.site.work / LOOK_FILE).read_bytes())
            return {str(one["lesion"]): str(one["found"]) for one in listed}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _look_through(self, cases: Sequence[Case]) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            left = [case for case in cases if _stamp(case) not in self._found]
            if left:
                self._thread = threading.Thread(target=self._check, args=(left,), daemon=True)
                self._thread.start()

    def _check(self, cases: Sequence[Case]) -> None:
        """In a process of its own: a file that ends its decoder is a fault, and no end of the console."""
        stamps = {case.line: _stamp(case) for case in cases}
        rows = [case.files() for case in cases]
        with closing(map_items(partial(check_row, site=self.site), rows, 1)) as outcomes:
            for row, outcome in outcomes:
                if isinstance(outcome, LostItem):
                    self._found[stamps[row.line]] = (make_lost_fault(row, self.site, outcome),)
                else:
                    self._found[stamps[row.line]] = (*outcome.faults, *outcome.doubts)


def _stamp(case: Case) -> object:
    """A row's files as they are now: another stamp, another check."""
    named = [spec.path for spec in case.clips] + ([case.outline.path] if case.outline else [])
    return case.files(), tuple(_read_stamp(path) for path in named)


def _read_stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    except OSError:
        return 0, 0
