"""Whether an audit is what was written: every change, gap, exchange and cut is found and told by its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from client.worker.audit.log import GENESIS, HEAD_FILE, LOG_FILE, Entry, Head, hash_of, held, parsed, read_head

MOST_FINDINGS = 100
_FIELDS = {"n", "at", "kind", "hash"}


@dataclass(frozen=True)
class Discrepancy:
    """line: of audit.jsonl, 1-based; None: the head file · what: is wrong there."""

    line: int | None
    what: str

    def __str__(self) -> str:
        """Place and fault."""
        return f"{HEAD_FILE if self.line is None else f'{LOG_FILE} line {self.line}'}: {self.what}"


@dataclass(frozen=True)
class Verdict:
    """entries: lines that were read · hash: of the last one · findings: at most MOST_FINDINGS, none when all is well.

    interrupted: a write was stopped in the middle, which is no change; the next entry puts it right.
    """

    entries: int
    hash: str
    findings: tuple[Discrepancy, ...]
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing was changed."""
        return not self.findings


@dataclass
class _Walk:
    """The chain as read so far. previous: hashes that the next entry may stand on; none: any, a finding came before."""

    entries: int = 0
    number: int = 0
    size: int = 0
    previous: tuple[str, ...] = (GENESIS,)
    before: Head = field(default_factory=Head)
    torn: bytes = b""
    findings: list[Discrepancy] = field(default_factory=list)

    def take(self, raw: bytes) -> None:
        if not raw.endswith(b"\n"):
            self.torn = raw
            return
        if self.previous:
            self.before = Head(self.number, self.previous[0], self.size)
        self.entries += 1
        self.size += len(raw)
        entry = parsed(raw)
        if entry is None or not set(entry) >= _FIELDS or type(entry["n"]) is not int:
            self._tell("is not an entry as it was written")
            self.number, self.previous = self.number + 1, ()
            return
        self._follow(entry)

    def _follow(self, entry: Entry) -> None:
        stated, computed = str(entry["hash"]), [hash_of(hash, entry) for hash in self.previous]
        if entry["n"] != self.number + 1:
            self._tell(
                f"holds entry {entry['n']} where entry {self.number + 1} belongs: removed, added or put out of order"
            )
        elif self.previous and stated not in computed:
            self._tell("does not match its hash: it was changed, or the entry before it was exchanged")
        self.number = entry["n"]
        # a changed hash is one finding: the entry after it stands on what the hash was before
        self.previous = (stated, *(hash for hash in computed if hash != stated))

    def _tell(self, what: str) -> None:
        self.findings.append(Discrepancy(self.entries, what))


def verify(folder: Path) -> Verdict:
    """Walks the whole audit of a folder. An audit that was never begun is well and has no entries.

    Raises AuditError or OSError where it cannot be read.
    """
    if not (folder / LOG_FILE).exists() and not (folder / HEAD_FILE).exists():
        return Verdict(0, GENESIS, ())
    walk = _Walk()
    with held(folder, shared=True), (folder / LOG_FILE).open("rb") as file:
        for raw in file:
            walk.take(raw)
            if len(walk.findings) >= MOST_FINDINGS:
                break
        head = read_head(folder)
    if walk.findings:
        return Verdict(walk.entries, walk.previous[0] if walk.previous else "", tuple(walk.findings))
    return Verdict(walk.entries, walk.previous[0], tuple(_end(walk, head)), _interrupted(walk, head))


def _end(walk: _Walk, head: Head | None) -> Iterator[Discrepancy]:
    """A whole chain ends where the head says, or one entry or torn line behind it."""
    if head is None:
        yield Discrepancy(None, "is missing or not as it was written")
    elif head.number > walk.number:
        yield Discrepancy(walk.entries + 1, f"entries {walk.number + 1} to {head.number} were cut off the end")
    elif head.number == walk.number and (head.hash, head.size) != (walk.previous[0], walk.size):
        yield Discrepancy(None, f"is of another entry {head.number}")
    elif head.number < walk.number and not _interrupted(walk, head):
        yield Discrepancy(None, f"is of entry {head.number}, but {walk.number} entries follow: it is an old one")


def _interrupted(walk: _Walk, head: Head | None) -> bool:
    if head is None or head.number > walk.number:
        return False
    return bool(walk.torn) if head.number == walk.number else head == walk.before and not walk.torn
