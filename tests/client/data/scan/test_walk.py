"""The walk of an export: loops, pipes, dead links, odd names and our own folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client.data.scan.walk import (
    FORBIDDEN,
    LOOP,
    SPECIAL,
    UNREACHABLE,
    VANISHED,
    FoundFile,
    Unwalked,
    describe_error,
    walk_export,
)


def split(root: Path, *ours: Path) -> tuple[list[str], list[tuple[str, str]]]:
    found = list(walk_export(root, ours))
    files = [os.path.relpath(one.path, root) for one in found if isinstance(one, FoundFile)]
    return files, [(os.path.relpath(one.path, root), one.why) for one in found if isinstance(one, Unwalked)]


def test_files_come_in_the_order_of_their_names_with_size(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/x/y/z", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12")
    found = list(walk_export(tmp_path))
    assert [os.path.relpath(one.path, tmp_path) for one in found] == ["c", "a/x/y/z", "b/1", "b/2"]
    assert all(isinstance(one, FoundFile) and one.size == 2 for one in found)


def test_a_loop_of_links_a_dead_link_and_a_pipe_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    files, others = split(tmp_path)
    assert files == ["a/file"]
    assert sorted(others) == [("a/loop", LOOP), ("gone", VANISHED), ("pipe", SPECIAL)]


def test_names_that_are_no_utf8_are_walked_and_opened(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode("王小明".encode("gb18030"))
    folder.mkdir()
    (folder / "IM1").write_bytes(b"x")
    (found,) = walk_export(tmp_path)
    assert isinstance(found, FoundFile)
    assert Path(found.path).read_bytes() == b"x"


def test_our_own_folders_are_not_walked(tmp_path: Path) -> None:
    (tmp_path / ".ceus" / "cache").mkdir(parents=True)
    (tmp_path / ".ceus" / "cache" / "sample").touch()
    (tmp_path / "clip").touch()
    assert split(tmp_path, tmp_path / ".ceus", tmp_path / "not there") == (["clip"], [])


def test_a_folder_that_vanishes_while_it_is_walked_costs_itself(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").touch()
    (tmp_path / "first").touch()
    walked = walk_export(tmp_path)
    assert isinstance(next(walked), FoundFile)
    (tmp_path / "a").rmdir()
    rest = list(walked)
    assert [one.why for one in rest if isinstance(one, Unwalked)] == [VANISHED]
    assert [Path(one.path).name for one in rest if isinstance(one, FoundFile)] == ["file"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FileNotFoundError(2, "x"), VANISHED),
        (PermissionError(13, "x"), FORBIDDEN),
        (OSError(5, "x"), UNREACHABLE),
        (TimeoutError(110, "x"), UNREACHABLE),
    ],
)
def test_errors_have_words(error: OSError, why: str) -> None:
    assert describe_error(error) == why
