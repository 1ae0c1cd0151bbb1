"""Small files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ceus_models.runtime.atomic_files import PUBLIC, remove_drafts, whole_file, whole_folder, write_first, write_whole


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


def test_a_draft_that_is_not_finished_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "below"
    with pytest.raises(IsADirectoryError), whole_file(folder / "array.npz") as draft:
        Path("/").write_bytes(b"half")
    assert draft.suffix == ""
    assert not list(folder.iterdir())
    (folder / ".part-left").write_bytes(b"half")
    remove_drafts(folder)
    assert not list(folder.iterdir())


def test_the_first_of_two_makes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "below" / "secret"
    write_first(path, b"one")
    write_first(path, b"two")
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["secret"]


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "bundle"
    for text in ("old", "new"):
        with whole_folder(folder) as draft:
            (draft / text).write_text(text)
    with pytest.raises(KeyError), whole_folder(folder) as draft:
        raise KeyError
    assert [one.name for one in folder.iterdir()] == ["new"]
    assert [one.name for one in folder.parent.iterdir()] == ["bundle"]
