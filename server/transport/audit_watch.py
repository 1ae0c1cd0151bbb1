"""Whether a site answers from an older copy of its records: its audit may only grow from one answer to the next.

The last mark of each site is in the message log, and the next task brings it back, so that the site compares too. A
site whose audit went back, or lacks what was received, is refused until its hospital has said what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ceus_models.protocol.audit_mark import AuditMark, LastAnswer
from ceus_models.protocol.messages import Refusal, Update

_MARK = TypeAdapter(AuditMark)
_REMEDY = (
    "its records came back from an older copy, or two machines have its kit; its hospital runs `ceus-site restored`"
)


@dataclass(frozen=True)
class AnswerNote:
    """What the message log keeps of an answer.

    Args:
        fault: why it does not count.
        audit: where the site's audit stood, if that was accepted.
        alarm: whether the fault is one of the site's audit.
        withdrawn: patients of the study who have withdrawn there.
        software: of the site, where it is not what it was.
    """

    fault: str = ""
    audit: AuditMark | None = None
    alarm: bool = False
    withdrawn: int = 0
    software: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields that say something, and always the fault."""
        found: dict[str, Any] = {"fault": self.fault}
        if self.audit:
            found["audit"] = asdict(self.audit)
        return found | {name: value for name in ("alarm", "withdrawn", "software") if (value := getattr(self, name))}


def parse_mark(line: Mapping[str, Any]) -> AuditMark | None:
    """The mark of an answer in a line of the message log; None where there is none, or one of another version."""
    try:
        return _MARK.validate_python(line["audit"]) if line.get("event") == "came" and "audit" in line else None
    except ValidationError:
        return None


@dataclass
class AuditWatch:
    """What is known of the audits of all sites.

    Args:
        alarms: site → what is wrong.
        moved: site → that another machine answers than before.
        withdrawn: site → patients of the study who have withdrawn there.
        software: site → what it runs.
        others: reads the newest mark of every site in all studies of the federation.
    """

    alarms: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, int] = field(default_factory=dict)
    software: dict[str, str] = field(default_factory=dict)
    others: Callable[[], Mapping[str, AuditMark]] = dict
    _last: dict[str, AuditMark] = field(default_factory=dict)
    _floor: Mapping[str, AuditMark] = field(default_factory=dict)

    def load_line(self, line: Mapping[str, Any]) -> None:
        """Take over a line of the message log; one of another version tells nothing."""
        if line.get("event") != "came":
            return
        audit = parse_mark(line)
        if audit is None and "audit" in line:
            return
        known = (line.get("withdrawn", 0), str(line.get("software", "")))
        self._take(line["site"], AnswerNote(line["fault"], audit, "alarm" in line, *known))

    def begin_task(self, sites: Iterable[str]) -> dict[str, LastAnswer]:
        """Site → what its last answer, in whichever study, said of its audit and its machine, for a new task.

        An answer to that task is later than these. Answers of studies side by side may come in another order.
        """
        self._floor = self.others()
        last = {**self._last, **self._floor}
        return {site: LastAnswer(last[site].head, last[site].machine) for site in sites if site in last}

    def judge(self, site: str, answer: Update | Refusal) -> AnswerNote:
        """Compare an answer with the one before it. An answer with an alarm must not be used."""
        fault = self._find_fault(site, answer)
        withdrawn, software = 0, ""
        if isinstance(answer, Update) and not fault:
            withdrawn, software = answer.withdrawn, answer.software.describe() if answer.software else ""
        changed = software if software != self.software.get(site) else ""
        note = AnswerNote(fault, None if fault else answer.audit, bool(fault), withdrawn, changed)
        self._take(site, note)
        return note

    def _find_fault(self, site: str, answer: Update | Refusal) -> str:
        mark = answer.audit
        if isinstance(answer, Refusal) and answer.code == "audit":
            return f"its audit lacks an answer that was received here: {_REMEDY}"
        earlier = [known[site] for known in (self._last, self._floor) if site in known]
        if mark is None:
            named = earlier and isinstance(answer, Update)
            return f"its answer names no entry of its audit: {_REMEDY}" if named else ""
        back = [last for last in earlier if last.restored == mark.restored and mark.number <= last.number]
        return f"its audit went back from entry {back[0].number} to {mark.number}: {_REMEDY}" if back else ""

    def _take(self, site: str, note: AnswerNote) -> None:
        if note.alarm:
            self.alarms[site] = note.fault
        elif note.audit:
            self._compare_machines(site, note.audit)
            self._last[site] = note.audit
            self.alarms.pop(site, None)
        self.withdrawn[site] = max(self.withdrawn.get(site, 0), note.withdrawn)
        if note.software:
            self.software[site] = note.software

    def _compare_machines(self, site: str, mark: AuditMark) -> None:
        """A site that moved is told of until its hospital has said so; it goes on answering."""
        last = self._last.get(site, mark)
        if last.restored != mark.restored:
            self.moved.pop(site, None)
        elif last.machine and mark.machine and last.machine != mark.machine:
            self.moved[site] = (
                f"machine {mark.machine} answers, before it was {last.machine}: where it was not moved, two machines "
                "have its kit; its hospital ends one of them and runs `ceus-site restored`"
            )
