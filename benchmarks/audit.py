"""A site's audit: how long its verification and each of its entries take, and whether every edit is found.

    python -m benchmarks.audit [--entries 10000] [--edits 1000] [--repetitions 5] [--out FILE]

The entries are those of a paper-sized study: tasks and answers of nine nets. Edits change one random byte of a file of
a hundred entries, and each must be found at its line. The aim: 10,000 entries verified in under 2 s, every edit found.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import arguments, in_turn, publish, quiet
from ceus_models.study.taxonomy import SUBMODELS
from client.worker.audit.log import HEAD_FILE, LOG_FILE, Audit, Head, hash_of, line_of
from client.worker.audit.verify import verify

NEAR = 100


def main() -> None:
    """Write, verify, spoil, report."""
    given = arguments(__doc__, entries=10_000, edits=1000, repetitions=5)
    quiet()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "long"
        size = _chain(folder, given.entries)
        times = in_turn({"verify": lambda: _whole(folder, given.entries)}, given.repetitions)
        appended = in_turn({"append": lambda: Audit(folder).append("stop")}, 20)
        begun = time.perf_counter()
        found = _found(Path(scratch) / "short", given.edits)
        searched = time.perf_counter() - begun
    rows = [
        (f"verify {given.entries} entries ({size / 1e6:.1f} MB)", times["verify"], "s"),
        ("append one entry, on the disk", appended["append"], "s"),
        (f"{given.edits} single-byte edits, found", found, f"in {searched:.1f} s"),
    ]
    publish("the site's audit", ("what", "figure", "unit"), rows, given.out)


def _chain(folder: Path, count: int) -> int:
    """An audit of `count` entries, written in one go instead of entry by entry; its bytes."""
    folder.mkdir()
    head, lines = Head(), []
    for number in range(1, count + 1):
        entry = {"n": number, "at": "2026-11-20T12:00:00.000Z", **_said(number)}
        entry["hash"] = hash_of(head.hash, entry)
        lines.append(line_of(entry))
        head = Head(number, entry["hash"], head.size + len(lines[-1]))
    (folder / LOG_FILE).write_bytes(b"".join(lines))
    (folder / HEAD_FILE).write_bytes(head.line())
    return head.size


def _said(number: int) -> dict[str, object]:
    asked = {"task": f"{number:064x}", "study": "5" * 64, "stage": "submodels", "round": number // 2, "asked": "train"}
    if number % 2:
        rule = {"epochs": 1, "batch_size": 8, "learning_rate": 0.05, "clip": 1.0}
        return {
            "kind": "task",
            **asked,
            "nets": list(SUBMODELS),
            "rule": rule,
            "digest": "d" * 64,
            "bytes": 1_200_000_000,
        }
    groups = {net: {"tensors": 230, "bytes": 134_000_000, "norm": number / 7} for net in SUBMODELS}
    return {"kind": "answer", **asked, "weight": 81.0, "privacy": "none", "groups": groups, "digest": "e" * 64}


def _whole(folder: Path, count: int) -> None:
    verdict = verify(folder)
    if not verdict.ok or verdict.entries != count:
        raise RuntimeError("a good audit must verify")


def _found(folder: Path, edits: int) -> str:
    _chain(folder, NEAR)
    log, chance, found = folder / LOG_FILE, random.Random(1), 0
    raw = log.read_bytes()
    for _ in range(edits):
        place, change = chance.randrange(len(raw)), chance.randrange(1, 256)
        log.write_bytes(raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :])
        line = raw[:place].count(b"\n") + 1
        findings = verify(folder).findings
        found += bool(findings) and (findings[0].line is None or abs(findings[0].line - line) <= 1)
    return f"{found} of {edits}"


if __name__ == "__main__":
    main()
