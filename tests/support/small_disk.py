"""A disk of its own of some megabytes, which a test can fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs at the folder, whose content it takes over; skips the test where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    options = f"size={megabytes}m,mode={folder.stat().st_mode & 0o777:o}"
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no tmpfs can be mounted here (it needs root)")
    try:
        for name, data in content.items():
            (folder / name).write_bytes(data)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free; the file to delete for room."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 20)):
                pass
        except OSError:
            return path
    raise AssertionError("a full disk takes no byte")
