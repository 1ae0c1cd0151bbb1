"""Which sums a site helped to open: one line each, written before its shares leave (`records/sessions.jsonl`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from client.policy.policy import TaskDeclined
from client.worker.audit.log import Audit, entries

STEM = "sessions"


@dataclass(frozen=True)
class Opening:
    """One sum. session: its id with sites, threshold and keys · subject: of the question · survivors: in the sum."""

    session: str
    subject: str
    survivors: tuple[str, ...]


@dataclass(frozen=True)
class OpeningLog:
    """The openings of a site.

    Args:
        records: folder of the chained log, which holds over restarts; None keeps them in memory, for a simulation.
    """

    records: Path | None = None
    _known: list[Opening] = field(default_factory=list)

    def check(self, asked: Opening, least: int, equal: bool) -> bool:
        """Whether this opening stands in the log already.

        Two totals of one question tell the numbers of the sites in which they differ, so these must be none or many.

        Args:
            asked: what is asked to be opened.
            least: sites in which two sets of one subject must differ.
            equal: whether they may not differ at all, as with noise that was charged once.

        Raises:
            TaskDeclined: the session was opened for another set, or the subject for one too near.
        """
        for past in self._read():
            if past.session == asked.session:
                if past != asked:
                    raise TaskDeclined("session", "this sum was opened for another set of sites; begin a new session")
                return True
            apart = len(set(past.survivors) ^ set(asked.survivors))
            if past.subject == asked.subject and apart and (equal or apart < least):
                rule = "for the same sites only" if equal else f"for the same sites or {least} others at least"
                raise TaskDeclined("session", f"this question was opened before: it is opened again {rule}")
        return False

    def record(self, opening: Opening) -> None:
        """Write a line, to the disk. Raises AuditError where that fails: nothing leaves then."""
        if self.records is None:
            self._known.append(opening)
            return
        Audit(self.records, stem=STEM).append(
            "opened", session=opening.session, subject=opening.subject, survivors=list(opening.survivors)
        )

    def _read(self) -> Iterator[Opening]:
        if self.records is None:
            yield from self._known
            return
        for entry in entries(self.records, STEM):
            if entry["kind"] == "opened":
                yield Opening(entry["session"], entry["subject"], tuple(entry["survivors"]))
