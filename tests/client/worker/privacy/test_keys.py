"""A secret key is made once, is random, and is the owner's alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from client.worker.privacy.keys import load_key


def test_a_key_is_made_once_and_read_again(tmp_path: Path) -> None:
    first = load_key(tmp_path / "records", "noise")
    assert len(first) == 32
    assert load_key(tmp_path / "records", "noise") == first
    assert stat.S_IMODE((tmp_path / "records" / "noise.key").stat().st_mode) == 0o600
    assert load_key(tmp_path / "records", "other") != first
    assert load_key(tmp_path / "another site", "noise") != first


def test_a_damaged_key_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "noise.key").write_bytes(b"short")
    with pytest.raises(ValueError, match="restore it"):
        load_key(tmp_path, "noise")
