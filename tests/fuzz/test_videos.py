"""Mutated videos of every codec give a ClipError or a clip: never another exception, a crash, a hang or much memory."""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path

import pytest
from made_videos import films, spoil
from spoilt_clips import read_spoilt

from client.data.imaging.screen import Screen

WHOLE = Screen("*", 96, 128, (0, 0, 64, 96), (64, 0, 128, 96), "gold", 60.0)
GROWTH_KIB = 1 << 19


def fuzz(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """Files read and refused."""
    (folder / "good").mkdir()
    return read_spoilt(folder, films(folder / "good"), spoil, WHOLE, (count, seed, GROWTH_KIB))


def test_mutated_videos(tmp_path: Path) -> None:
    faulthandler.enable(sys.__stderr__)
    read, refused = fuzz(tmp_path, 200, 1)
    assert min(read, refused) > 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_thousand_mutated_videos(tmp_path: Path) -> None:
    faulthandler.enable(sys.__stderr__)
    read, refused = fuzz(tmp_path, 2000, 2)
    assert min(read, refused) > 300
