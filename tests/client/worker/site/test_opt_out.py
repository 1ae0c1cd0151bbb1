from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError
from client.worker.site.opt_out import (
    EVERY_STUDY,
    STANDING_FILE,
    Participation,
    lock_participation,
    read_participation,
    write_participation,
)


def test_a_site_takes_part_until_it_says_otherwise(tmp_path: Path) -> None:
    assert read_participation(tmp_path) == Participation()
    assert Participation().refuses("s") is None


def test_pause_and_withdrawal_are_two_things() -> None:
    paused = Participation().pause()
    assert "ceus-site resume" in (paused.refuses("s") or "")
    assert paused.pause() == paused, "paused since the first time"
    both = paused.withdraw("s")
    assert "withdrawn" in (both.resume().refuses("s") or "")
    assert both.resume().refuses("t") is None
    assert both.rejoin("s").refuses("s") == paused.refuses("s")


def test_leaving_every_study_and_coming_back() -> None:
    left = Participation().withdraw("s").withdraw(EVERY_STUDY)
    assert left.has_left("t")
    assert left.rejoin("s").has_left("s"), "every study is left still"
    assert left.rejoin(EVERY_STUDY) == Participation()


def test_what_is_written_is_read_and_no_draft_stays(tmp_path: Path) -> None:
    standing = Participation().withdraw("s").pause()
    with lock_participation(tmp_path / "records"):
        write_participation(tmp_path / "records", standing)
    assert read_participation(tmp_path / "records") == standing
    assert [path.name for path in (tmp_path / "records").iterdir()] == [STANDING_FILE]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"paused": "", "withdrawn": 3}', b"\xff"])
def test_a_withdrawal_is_never_forgotten_by_a_spoilt_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STANDING_FILE).write_bytes(content)
    with pytest.raises(ExpectedError, match="nothing is answered"):
        read_participation(tmp_path)
