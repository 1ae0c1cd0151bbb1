"""Read spoilt clips: each gives a clip, or a ClipError that names no file, soon and in bounded memory."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.screen import Screen
from client.faults.catalogue import REASONS

_LONGEST_S = 30
SECRET = "DOE"
"""In the name of every file; no error may tell it."""


def read_spoilt(
    folder: Path,
    originals: Iterable[Path],
    spoil: Callable[[bytes, random.Random], bytes],
    screen: Screen,
    work: tuple[int, int, int],
) -> tuple[int, int]:
    """How many spoilt files were read, and how many were refused.

    Args:
        folder: Where they are written.
        originals: Good files, taken in turn.
        spoil: Makes other content of that of a good file.
        work: Files, the seed, and by how many KiB the memory of this process may grow.
    """
    (count, seed, most_kib), kept = work, [(path, path.read_bytes()) for path in originals]
    draw, read = random.Random(seed), 0
    refused: list[ClipError] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        original, content = kept[number % len(kept)]
        path = folder / f"{SECRET}_{original.name}"
        path.write_bytes(spoil(content, draw))
        started = time.monotonic()
        try:
            clip = open_clip(path, 0.0, draw.choice((None, 10.0)), [screen])
        except ClipError as error:
            refused.append(error)
        else:
            read += 1
            assert clip.contrast[0].dtype == np.uint8
            assert len(clip.seconds) == len(clip.contrast)
            assert len(clip.seconds) == 1 or (np.diff(clip.seconds) > 0).all()
        assert time.monotonic() - started < _LONGEST_S
        path.unlink()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < most_kib
    assert {error.reason for error in refused} <= set(REASONS)
    assert not [error for error in refused if SECRET in str(error)]
    return read, len(refused)
