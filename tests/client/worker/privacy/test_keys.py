"""The long-term key of secure sums: made once, private, and the same after a restart."""

from __future__ import annotations

import pytest

from ceus_models.runtime.errors import ExpectedError
from client.worker.privacy.keys import KEY_FILE, load_channel_key


def test_the_key_is_made_once_and_stays(tmp_path):
    first = load_channel_key(tmp_path / "records")
    assert load_channel_key(tmp_path / "records") == first
    path = tmp_path / "records" / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32
    assert path.read_bytes() not in (first.private, first.public)


def test_sites_have_different_keys(tmp_path):
    assert load_channel_key(tmp_path / "a").public != load_channel_key(tmp_path / "b").public


def test_a_changed_file_is_told(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(ExpectedError, match="must hold 32 bytes, found 5"):
        load_channel_key(tmp_path)
