"""Whether an audit is what was written: every change, gap, exchange and cut is found and told by its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from client.worker.audit.log import AUDIT, GENESIS, Entry, Head, hash_of, held, parse_entry, read_head

MOST_FINDINGS = 100
_FIELDS = {"n", "at", "kind", "hash"}


@dataclass(frozen=True)
class Discrepancy:
    """line: of the log, 1-based; None: the head file · what: is wrong there · stem: of the two files."""

    line: int | None
    what: str
    stem: str = AUDIT

    def __str__(self) -> str:
        """Place and fault."""
        return f"{self.stem}{'.head' if self.line is None else f'.jsonl line {self.line}'}: {self.what}"


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

    stem: str
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
        entry = parse_entry(raw)
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
        self.findings.append(Discrepancy(self.entries, what, self.stem))


def verify(folder: Path, stem: str = AUDIT) -> Verdict:
    """Walk the whole log of a folder. One that was never begun is well and has no entries.

    Raises AuditError or OSError where it cannot be read.
    """
    log, head_file = folder / f"{stem}.jsonl", folder / f"{stem}.head"
    if not log.exists() and not head_file.exists():
        return Verdict(0, GENESIS, ())
    walk = _Walk(stem)
    with held(folder, shared=True, stem=stem), log.open("rb") as file:
        for raw in file:
            walk.take(raw)
            if len(walk.findings) >= MOST_FINDINGS:
                break
        head = read_head(folder, stem)
    if walk.findings:
        return Verdict(walk.entries, walk.previous[0] if walk.previous else "", tuple(walk.findings))
    ending = tuple(Discrepancy(line, what, stem) for line, what in _end(walk, head))
    return Verdict(walk.entries, walk.previous[0], ending, _is_interrupted(walk, head))


def _end(walk: _Walk, head: Head | None) -> Iterator[tuple[int | None, str]]:
    """A whole chain ends where the head says, or one entry or torn line behind it."""
    if head is None:
        yield None, "is missing or not as it was written"
    elif head.number > walk.number:
        yield walk.entries + 1, f"entries {walk.number + 1} to {head.number} were cut off the end"
    elif head.number == walk.number and (head.hash, head.size) != (walk.previous[0], walk.size):
        yield None, f"is of another entry {head.number}"
    elif head.number < walk.number and not _is_interrupted(walk, head):
        yield None, f"is of entry {head.number}, but {walk.number} entries follow: it is an old one"


def _is_interrupted(walk: _Walk, head: Head | None) -> bool:
    if head is None or head.number > walk.number:
        return False
    return bool(walk.torn) if head.number == walk.number else head == walk.before and not walk.torn
