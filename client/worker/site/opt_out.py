"""Whether a site takes part: paused, or withdrawn from a study. A small file, read at every task."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from ceus_models.runtime.atomic_files import inherit_owner, make_private_folder, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from client.worker.audit.log import Audit

STANDING_FILE = "standing.json"
EVERY_STUDY = "*"


@dataclass(frozen=True)
class Participation:
    """paused: since when, "" while the site answers · withdrawn: since when, by study digest or EVERY_STUDY."""

    paused: str = ""
    withdrawn: dict[str, str] = field(default_factory=dict)

    def refuses(self, study: str) -> str | None:
        """Why a task of this study is not answered, or None."""
        if self.has_left(study):
            return "this site has withdrawn from the study; it comes back by `ceus-site rejoin`, if at all"
        if self.paused:
            return f"this site is paused since {self.paused}; its IT ends that by `ceus-site resume`"
        return None

    def has_left(self, study: str) -> bool:
        """Whether the site withdrew from this study, or from all."""
        return study in self.withdrawn or EVERY_STUDY in self.withdrawn

    def pause(self) -> Participation:
        """Answering nothing, from now on."""
        return self if self.paused else replace(self, paused=_now())

    def resume(self) -> Participation:
        """Answering again; what was withdrawn stays so."""
        return replace(self, paused="")

    def withdraw(self, study: str) -> Participation:
        """Without this study (or EVERY_STUDY), from now on."""
        return replace(self, withdrawn={study: _now(), **self.withdrawn})

    def rejoin(self, study: str) -> Participation:
        """With this study again; with EVERY_STUDY, with all."""
        kept = {} if study == EVERY_STUDY else {s: at for s, at in self.withdrawn.items() if s != study}
        return replace(self, withdrawn=kept)


def read_participation(records: Path) -> Participation:
    """The standing of a site; a site that has no file yet takes part.

    Raises ExpectedError for a file that cannot be read: a withdrawal is never forgotten by accident.
    """
    try:
        values = json.loads((records / STANDING_FILE).read_bytes())
        standing = Participation(str(values["paused"]), dict(values["withdrawn"]))
    except FileNotFoundError:
        return Participation()
    except (OSError, ValueError, KeyError, TypeError):
        raise ExpectedError(
            f"{STANDING_FILE} cannot be read, so nothing is answered; restore it from a backup, or delete it if this "
            "site is neither paused nor withdrawn"
        ) from None
    return standing


def write_participation(records: Path, standing: Participation) -> None:
    """Replace the file whole. Raises ExpectedError where it cannot be written."""
    try:
        write_atomically(records / STANDING_FILE, json.dumps(asdict(standing), sort_keys=True).encode())
    except OSError as error:
        raise ExpectedError(
            f"{STANDING_FILE} cannot be written ({error.strerror}); nothing has changed: free disk space, or run the "
            "command as the user of the worker"
        ) from None


Change = Literal["pause", "resume", "withdraw", "rejoin"]


def change_participation(records: Path, kind: Change, by: str, study: str = "") -> Participation:
    """Write the new standing and its entry; what closes the site holds even where the audit cannot be written.

    by: the account · study: its digest or EVERY_STUDY, of withdraw and rejoin. Raises ExpectedError, also for an audit
    that was changed or cannot be written.
    """
    audit, said = Audit(records), {"by": by, **({"study": study} if study else {})}
    with lock_participation(records):
        before = read_participation(records)
        changes: dict[Change, Callable[[], Participation]] = {
            "pause": before.pause,
            "resume": before.resume,
            "withdraw": lambda: before.withdraw(study),
            "rejoin": lambda: before.rejoin(study),
        }
        after = changes[kind]()
        if kind in ("resume", "rejoin"):
            audit.append(kind, **said)
        write_participation(records, after)
        if kind in ("pause", "withdraw"):
            audit.append(kind, **said)
    return after


@contextmanager
def lock_participation(records: Path) -> Iterator[None]:
    """One command at a time changes the standing. Raises ExpectedError where the records cannot be written."""
    make_private_folder(records, "records")
    inherit_owner(records)
    busy = ExpectedError("another command has been changing whether this site takes part for 20 s; end it")
    with hold_lock(records, busy, wait_s=20.0):
        yield


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
