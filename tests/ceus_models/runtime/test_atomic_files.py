"""Small files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ceus_models.runtime.atomic_files import PUBLIC, write_whole


def test_the_mode_is_as_asked_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_whole(tmp_path / "a" / "private", b"x")
        write_whole(tmp_path / "a" / "public", b"y", PUBLIC)
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / "public").stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_writes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 42_001, 42_000)
    write_whole(tmp_path / "file", b"x")
    write_whole(tmp_path / "file", b"y")
    assert ((tmp_path / "file").stat().st_uid, (tmp_path / "file").stat().st_gid) == (42_001, 42_000)


def test_a_write_that_fails_leaves_the_old_content_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one for one in tmp_path.iterdir() if one.is_file()] == [path]
