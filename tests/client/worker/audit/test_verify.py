"""Tampering with an audit: every single-byte edit, every cut, exchange and reordering is found, and where."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from client.worker.audit.log import HEAD_FILE, LOG_FILE, Audit, hash_of, line_of
from client.worker.audit.verify import MOST_FINDINGS, verify

COUNT = 12
Lines = list[bytes]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    audit = Audit(folder)
    for number in range(COUNT):
        groups = {"disease/HCC": {"norm": number / 7, "bytes": 64}}
        audit.append("answer", round=number, weight=6.0, groups=groups, digest=f"{number:064x}")
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"


def lines_of(folder: Path) -> Lines:
    return (folder / LOG_FILE).read_bytes().splitlines(keepends=True)


def test_an_unchanged_audit_is_well_and_so_is_one_that_was_never_begun(folder: Path, tmp_path: Path) -> None:
    verdict = verify(folder)
    assert (verdict.ok, verdict.entries, verdict.interrupted) == (True, COUNT, False)
    assert verdict.hash == json.loads(lines_of(folder)[-1])["hash"]
    assert verify(tmp_path / "none").ok
    assert not (tmp_path / "none").exists()


def test_each_of_1000_random_single_byte_edits_is_found(folder: Path) -> None:
    log, chance = folder / LOG_FILE, random.Random(4)
    raw = log.read_bytes()
    for _ in range(1000):
        place, change = chance.randrange(len(raw)), chance.randrange(1, 256)
        log.write_bytes(raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :])
        findings = verify(folder).findings
        assert findings, f"byte {place} changed by {change}"
        line = raw[:place].count(b"\n") + 1
        told = findings[0].line
        assert told is None or abs(told - line) <= 1, f"line {line} was changed, line {told} is told"


def test_each_edit_of_the_head_is_found(folder: Path) -> None:
    head = folder / HEAD_FILE
    raw = head.read_bytes()
    for place in range(len(raw)):
        for change in (1, 4, 128):
            head.write_bytes(raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :])
            verdict = verify(folder)
            assert not verdict.ok
            assert verdict.findings[0].line in (None, COUNT + 1)


def swapped(lines: Lines) -> Lines:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def changed(lines: Lines) -> Lines:
    return [*lines[:4], lines[4].replace(b'"weight":6.0', b'"weight":7.0'), *lines[5:]]


def rehashed(lines: Lines) -> Lines:
    """A forger who knows the hash mends the line's own, but not those after it."""
    entry = json.loads(lines[4]) | {"weight": 7.0}
    entry["hash"] = hash_of(json.loads(lines[3])["hash"], entry)
    return [*lines[:4], line_of(entry), *lines[5:]]


@pytest.mark.parametrize(
    ("harm", "line", "told"),
    [
        (swapped, 5, "entry 6 where entry 5 belongs"),
        (changed, 5, "does not match its hash"),
        (rehashed, 6, "the entry before it was exchanged"),
        (lambda lines: [*lines[:4], *lines[5:]], 5, "entry 6 where entry 5 belongs"),
        (lambda lines: lines[1:], 1, "entry 2 where entry 1 belongs"),
        (lambda lines: [*lines[:5], lines[4], *lines[5:]], 6, "entry 5 where entry 6 belongs"),
        (lambda lines: lines[:-1], COUNT, f"entries {COUNT} to {COUNT} were cut off the end"),
        (lambda lines: [*lines[:-1], lines[-1][:30]], COUNT, "cut off the end"),
        (lambda lines: lines[:2], 3, f"entries 3 to {COUNT} were cut off the end"),
        (lambda lines: [], 1, "cut off the end"),
        (lambda lines: [*lines[:4], b"\n", *lines[4:]], 5, "is not an entry"),
        (lambda lines: [*lines[:4], lines[4].replace(b":", b": ", 1), *lines[5:]], 5, "is not an entry"),
    ],
    ids=[
        "reordered", "changed", "forged", "removed", "first removed", "repeated", "truncated", "half a line",
        "cut short", "emptied", "blank line", "spaced",
    ],
)  # fmt: skip
def test_harm_is_told_by_its_line(folder: Path, harm: Callable[[Lines], Lines], line: int, told: str) -> None:
    (folder / LOG_FILE).write_bytes(b"".join(harm(lines_of(folder))))
    first = verify(folder).findings[0]
    assert first.line == line
    assert told in first.what
    assert str(first).startswith(f"audit.jsonl line {line}: ")


def test_a_changed_hash_is_one_finding(folder: Path) -> None:
    lines = lines_of(folder)
    entry = json.loads(lines[4]) | {"hash": "f" * 64}
    (folder / LOG_FILE).write_bytes(b"".join([*lines[:4], line_of(entry), *lines[5:]]))
    assert [finding.line for finding in verify(folder).findings] == [5]


def test_a_chain_that_was_written_anew_is_not_the_heads(folder: Path) -> None:
    other = folder.with_name("other")
    audit = Audit(other)
    for _ in range(COUNT):
        audit.append("answer", weight=1.0)
    shutil.copy(other / LOG_FILE, folder / LOG_FILE)
    assert [finding.line for finding in verify(folder).findings] == [None]


def test_an_old_head_or_none_is_found(folder: Path) -> None:
    entry = json.loads(lines_of(folder)[5])
    size = sum(map(len, lines_of(folder)[:6]))
    (folder / HEAD_FILE).write_bytes(line_of({"number": 6, "hash": entry["hash"], "size": size}))
    assert "an old one" in verify(folder).findings[0].what
    (folder / HEAD_FILE).unlink()
    assert "missing" in verify(folder).findings[0].what


def test_findings_have_an_end(folder: Path) -> None:
    (folder / LOG_FILE).write_bytes(b"junk\n" * 1000)
    assert len(verify(folder).findings) == MOST_FINDINGS
