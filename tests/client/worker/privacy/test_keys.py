"""Secret keys of a site: made once, private, and the same after a restart."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError
from client.worker.privacy.keys import NOISE, SUMS, load_channel_key, load_key


@pytest.mark.parametrize("name", [NOISE, SUMS])
def test_a_key_is_made_once_and_read_again(tmp_path: Path, name: str) -> None:
    first = load_key(tmp_path / "records", name)
    assert len(first) == 32
    assert load_key(tmp_path / "records", name) == first
    assert stat.S_IMODE((tmp_path / "records" / f"{name}.key").stat().st_mode) == 0o600
    assert load_key(tmp_path / "records", "other") != first
    assert load_key(tmp_path / "another site", name) != first


def test_the_channel_key_is_not_the_file_and_differs_between_sites(tmp_path: Path) -> None:
    first = load_channel_key(tmp_path / "a")
    assert load_channel_key(tmp_path / "a") == first
    assert (tmp_path / "a" / "sums.key").read_bytes() not in (first.private, first.public)
    assert load_channel_key(tmp_path / "b").public != first.public


def test_a_damaged_key_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "noise.key").write_bytes(b"short")
    with pytest.raises(ExpectedError, match="must hold 32 bytes, found 5"):
        load_key(tmp_path, NOISE)
