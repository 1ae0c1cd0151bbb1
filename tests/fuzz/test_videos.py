"""Mutated videos of every codec give a ClipError or a clip: never another exception, a crash, a hang or much memory."""

from __future__ import annotations

import faulthandler
import random
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from made_videos import films, spoil

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.screen import Screen
from client.faults.catalogue import REASONS

WHOLE = Screen("*", 96, 128, (0, 0, 64, 96), (64, 0, 128, 96), "gold", 60.0)
GROWTH_KIB = 1 << 19


def fuzz(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """Files read and refused."""
    draw, read, refused = random.Random(seed), 0, 0
    originals = [(path.name, path.read_bytes()) for path in films(folder)]
    told: list[ClipError] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        name, content = originals[number % len(originals)]
        path = folder / f"DOE_{name}"
        path.write_bytes(spoil(content, draw))
        started = time.monotonic()
        try:
            clip = open_clip(path, 0.0, draw.choice((None, 10.0)), [WHOLE])
        except ClipError as error:
            refused += 1
            told.append(error)
        else:
            read += 1
            assert clip.contrast[0].dtype == np.uint8
            assert len(clip.seconds) == len(clip.contrast)
            assert len(clip.seconds) == 1 or (np.diff(clip.seconds) > 0).all()
        assert time.monotonic() - started < 30
        path.unlink()
    assert {error.reason for error in told} <= set(REASONS)
    assert not [error for error in told if "DOE" in str(error)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_KIB
    return read, refused


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
