"""The journal of a scan: torn lines, other versions, and no path in it."""

from __future__ import annotations

from pathlib import Path

from client.data.scan.journal import Journal, stamp_file
from client.data.scan.walk import FoundFile

FILE = FoundFile("/export/王小明/IM1", 10, 99)


def test_what_was_kept_is_known_again(tmp_path: Path) -> None:
    stamp = stamp_file(b"key", FILE)
    with Journal(tmp_path / "j" / "files.jsonl") as journal:
        journal.keep(stamp, {"kind": "clip"})
    with Journal(tmp_path / "j" / "files.jsonl") as journal:
        assert journal.known == {stamp: {"kind": "clip"}}
    assert "IM1" not in (tmp_path / "j" / "files.jsonl").read_text()
    assert (tmp_path / "j" / "files.jsonl").stat().st_mode & 0o077 == 0


def test_a_line_that_a_kill_cut_off_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "files.jsonl"
    with Journal(path) as journal:
        journal.keep("a", {"n": 1})
        journal.keep("b", {"n": 2})
    path.write_bytes(path.read_bytes()[:-9])
    with Journal(path) as journal:
        assert journal.known == {"a": {"n": 1}}
        journal.keep("c", {"n": 3})
    with Journal(path) as journal:
        assert set(journal.known) == {"a", "c"}


def test_findings_of_other_settings_do_not_count(tmp_path: Path) -> None:
    with Journal(tmp_path / "clips.jsonl", "one screen") as journal:
        journal.keep("a", {"n": 1})
    with Journal(tmp_path / "clips.jsonl", "two screens") as journal:
        assert journal.known == {}


def test_a_changed_file_has_another_stamp() -> None:
    others = [FoundFile(FILE.path, 11, 99), FoundFile(FILE.path, 10, 98), FoundFile("/other", 10, 99)]
    stamps = {stamp_file(b"key", FILE), stamp_file(b"other key", FILE), *(stamp_file(b"key", one) for one in others)}
    assert len(stamps) == 5
