"""Whether the site's records are older than an answer that the coordinator has: a snapshot or backup came back.

With an older audit, pauses, withdrawals, quotas and the privacy ledger went back too, and this site cannot know that
by itself. So a task brings the head of the audit in the last answer that was received; where the audit lacks it,
nothing is answered until the hospital says what happened.
"""

from __future__ import annotations

import datetime
import json
import mmap
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ceus_models.protocol.audit_mark import LastAnswer
from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.policy.policy import TaskDeclined
from client.worker.audit.log import LOG_FILE, Audit

RESTORED_FILE = "restored.json"
REFUSED = (
    "this site's audit lacks an answer that was received of it: its records came back from an older copy, or another "
    "machine answers with its kit; its hospital looks and then runs `ceus-site restored`"
)

REFUSED_OTHER = (
    "another machine has answered with this site's kit, and this site's audit lacks its answer; its hospital ends one "
    "of the two and then runs `ceus-site restored`"
)
OTHER_MACHINE = (
    "the last answer came from another machine: where the site was moved, say so by `ceus-site restored`, else two "
    "machines have its kit, and one must be ended"
)


@dataclass(frozen=True)
class Restoration:
    """What is known of older records.

    Args:
        lacking: head that the audit lacks, "" where it lacks none.
        since: when that, or another machine, was found.
        entry: hash of the entry in which the hospital said last that the records came back.
        covers: head that may be lacking, as that was said.
        is_open: whether it was said before any head was found to be lacking, and nothing was answered since.
        other: id of another machine that made the last answer, "" for none.
    """

    lacking: str = ""
    since: str = ""
    entry: str = ""
    covers: str = ""
    is_open: bool = False
    other: str = ""

    def describe(self) -> tuple[str, str]:
        """Why nothing is answered, and what else the hospital must know; "" for nothing."""
        if self.lacking:
            return f"{REFUSED_OTHER if self.other else REFUSED} (since {self.since})", ""
        return "", f"{OTHER_MACHINE} (since {self.since})" if self.other else ""


def read_restoration(records: Path) -> Restoration:
    """What is known; nothing where there is no file. Raises ExpectedError for a file that cannot be read."""
    try:
        return Restoration(**json.loads((records / RESTORED_FILE).read_bytes()))
    except FileNotFoundError:
        return Restoration()
    except (OSError, ValueError, TypeError):
        raise ExpectedError(
            f"{RESTORED_FILE} cannot be read, so nothing is answered; run `ceus-site restored`, which writes it anew"
        ) from None


def declare_restored(records: Path, by: str, because: str) -> Restoration:
    """Write down that the hospital knows that its records are older than its answers.

    Args:
        by: the account.
        because: what happened, in the hospital's words.

    Raises:
        ExpectedError: the audit was changed, or a file cannot be written.
    """
    try:
        before = read_restoration(records)
    except ExpectedError:
        before = Restoration()
    written = Audit(records).append("restored", by=by, because=because, lacking=before.lacking)
    after = Restoration(entry=written.hash, covers=before.lacking, is_open=not before.lacking)
    _write(records, after)
    return after


@dataclass
class RestorationGuard:
    """Looks at every task's head.

    Args:
        records: folder of the audit.
        machine: this one's id.
        log: told what the hospital should know.
    """

    records: Path
    machine: str
    log: Callable[[str], None]

    def check(self, last: LastAnswer | None) -> None:
        """Check that the audit holds the entry that the last answer named, and whether this machine made it.

        Args:
            last: answer that the coordinator has, None where it has none.

        Raises:
            TaskDeclined: the audit lacks it, and the hospital has not said why.
        """
        try:
            found = read_restoration(self.records)
        except ExpectedError as error:
            self.log(str(error))
            raise TaskDeclined("audit", REFUSED) from None
        after = self._compare(found, last) if last and last.head != found.covers else found
        if after != found:
            _write(self.records, after)
            for line in filter(None, after.describe()):
                self.log(line)
        if after.lacking:
            raise TaskDeclined("audit", REFUSED_OTHER if after.other else REFUSED)

    def _compare(self, found: Restoration, last: LastAnswer) -> Restoration:
        """What is known with the last answer."""
        if found.is_open:
            return replace(found, covers=last.head, is_open=False)
        since = found.since or _now()
        if self.machine and last.machine not in ("", self.machine):
            found = replace(found, other=last.machine, since=since)
        return found if self._holds(last.head) else replace(found, lacking=last.head, since=since)

    def close(self) -> str:
        """Something is answered, so what was said before any head was lacking covers no later one.

        Returns:
            The hash of the entry in which the hospital said last that its records came back.
        """
        try:
            found = read_restoration(self.records)
        except ExpectedError:
            return ""  # `check` has refused the task
        if found.is_open:
            _write(self.records, replace(found, is_open=False))
        return found.entry

    def _holds(self, head: str) -> bool:
        """Whether an entry of the audit has this hash; most likely one of the last."""
        path = self.records / LOG_FILE
        if not path.exists() or not path.stat().st_size:
            return False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return text.rfind(f'"hash":"{head}"'.encode()) >= 0  # in any text of an entry its quotes are escaped


def _write(records: Path, found: Restoration) -> None:
    try:
        write_atomically(records / RESTORED_FILE, json.dumps(asdict(found), sort_keys=True).encode())
    except OSError as error:
        raise ExpectedError(
            f"{RESTORED_FILE} cannot be written ({error.strerror}); free disk space, or run the command as the user of "
            "the worker"
        ) from None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
