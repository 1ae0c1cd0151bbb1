"""A lock is one holder's until it leaves, of a file and of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock, is_held

BUSY = ExpectedError("another command is at work")


@pytest.mark.parametrize("name", ["file", "folder"])
def test_a_lock_is_one_holders_until_it_leaves(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    with hold_lock(path, BUSY):
        with pytest.raises(ExpectedError, match="another command"), hold_lock(path, BUSY, wait_s=0.05):
            pass
        assert name == "folder" or is_held(path)
    with hold_lock(path, BUSY, wait_s=0.0):
        pass


def test_readers_share_a_lock_and_keep_writers_out(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file"
    assert not is_held(path)
    with (
        hold_lock(path, BUSY, shared=True),
        hold_lock(path, BUSY, shared=True),
        pytest.raises(ExpectedError),
        hold_lock(path, BUSY, wait_s=0.0),
    ):
        pass
    assert not is_held(path)
