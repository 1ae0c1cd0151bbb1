"""The log of openings: what may be opened next depends on it, also after a restart or a torn write."""

from __future__ import annotations

import pytest

from client.policy.policy import TaskDeclined
from client.worker.audit.log import AuditError, entries
from client.worker.privacy.openings import STEM, Opening, OpeningLog

SEVEN = tuple("abcdefg")
FIRST = Opening("session 1", "subject", SEVEN)


def test_the_same_question_is_known(tmp_path):
    log = OpeningLog(tmp_path)
    assert not log.check(FIRST, 3, equal=False)
    log.record(FIRST)
    assert OpeningLog(tmp_path).check(FIRST, 3, equal=False)
    assert not log.check(Opening("session 2", "subject", SEVEN), 3, equal=True)
    assert not log.check(Opening("session 2", "other", SEVEN[:3]), 3, equal=True)


@pytest.mark.parametrize(
    ("opening", "equal"),
    [
        (Opening("session 1", "subject", SEVEN[1:]), False),
        (Opening("session 1", "other", SEVEN), False),
        (Opening("session 2", "subject", SEVEN[1:]), False),
        (Opening("session 2", "subject", SEVEN[2:]), False),
        (Opening("session 2", "subject", (*SEVEN[1:], "h")), False),
        (Opening("session 2", "subject", SEVEN[3:]), True),
    ],
)
def test_what_is_too_near(tmp_path, opening, equal):
    log = OpeningLog(tmp_path)
    log.record(FIRST)
    with pytest.raises(TaskDeclined):
        log.check(opening, 3, equal)


def test_far_enough_is_far_from_each(tmp_path):
    log = OpeningLog(tmp_path)
    log.record(FIRST)
    half = Opening("session 2", "subject", SEVEN[:4])
    assert not log.check(half, 3, equal=False)
    log.record(half)
    with pytest.raises(TaskDeclined):
        log.check(Opening("session 3", "subject", SEVEN[:3]), 3, equal=False)


def test_a_torn_line_is_mended(tmp_path):
    log = OpeningLog(tmp_path)
    log.record(FIRST)
    path = tmp_path / f"{STEM}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"n":2,"at":"2026')
    second = Opening("session 2", "subject", SEVEN)
    log.record(second)
    assert [entry["kind"] for entry in entries(tmp_path, STEM)] == ["opened", "repair", "opened"]
    assert log.check(second, 3, equal=False)


def test_a_changed_log_stops_all_openings(tmp_path):
    log = OpeningLog(tmp_path)
    log.record(FIRST)
    path = tmp_path / f"{STEM}.jsonl"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(AuditError):
        log.record(Opening("session 2", "subject", SEVEN))
