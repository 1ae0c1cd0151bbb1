"""What a study settles once at a site: its seed, its recipe, and the content of each round that was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from client.worker.audit.log import Audit, AuditError, entries
from client.worker.audit.verify import verify


@dataclass
class StudyFacts:
    """Named values of each study, which never change once they are settled.

    Args:
        records: the folder of a chained log a study, written before the work begins; None keeps the values in memory,
            for a simulation.
    """

    records: Path | None = None
    _known: dict[str, dict[str, str]] = field(default_factory=dict, init=False)

    def find(self, study: str, name: str) -> str | None:
        """The settled value, or None. Raises AuditError where the log was changed."""
        return self._values(study).get(name)

    def list_names(self, study: str) -> tuple[str, ...]:
        """The names of all that is settled. Raises AuditError as `find`."""
        return tuple(self._values(study))

    def settle(self, study: str, name: str, value: str) -> bool:
        """Whether the value is the settled one; the first value that is given is settled.

        Raises:
            AuditError: the log was changed, or cannot be written.
        """
        values = self._values(study)
        if name in values:
            return values[name] == value
        if self.records is not None:
            Audit(self.records, stem=_stem(study)).append("settled", name=name, value=value)
        values[name] = value
        return True

    def _values(self, study: str) -> dict[str, str]:
        if study not in self._known:
            self._known[study] = {} if self.records is None else _read(self.records, _stem(study))
        return self._known[study]


def _stem(study: str) -> str:
    return f"study-{study[:16]}"


def _read(records: Path, stem: str) -> dict[str, str]:
    verdict = verify(records, stem)
    if not verdict.ok:
        raise AuditError(
            f"expected the record of a study's rounds as it was written, found a change: {verdict.findings[0]}; bring "
            f"{stem}.jsonl and {stem}.head back from the newest backup"
        )
    return {e["name"]: e["value"] for e in entries(records, stem) if e["kind"] == "settled"}
