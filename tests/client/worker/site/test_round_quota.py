from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from client.worker.site.round_quota import ROUNDS_FILE, RoundQuota, day_of


def test_the_same_task_counts_once_and_a_new_day_begins_at_none(tmp_path: Path) -> None:
    rounds = RoundQuota(tmp_path)
    for _ in range(3):
        rounds.add("a", "2026-11-20")
    assert rounds.hold("b", 2, "2026-11-20")
    RoundQuota(tmp_path).add("b", "2026-11-20")  # another process
    assert not rounds.hold("c", 2, "2026-11-20")
    assert rounds.hold("a", 2, "2026-11-20"), "asked again, it is the same round"
    assert rounds.hold("c", 2, "2026-11-21")


def test_a_spoilt_file_is_not_an_empty_one(tmp_path: Path) -> None:
    for content in (b"", b"[]", b'{"day": "2026-11-20"}'):
        (tmp_path / ROUNDS_FILE).write_bytes(content)
        with pytest.raises(ValueError):
            RoundQuota(tmp_path).hold("a", 1, "2026-11-20")


def test_the_day_is_the_hospitals() -> None:
    late = datetime.datetime(2026, 11, 20, 17, 0, tzinfo=datetime.UTC)
    assert (day_of(late, "UTC"), day_of(late, "Asia/Shanghai")) == ("2026-11-20", "2026-11-21")
