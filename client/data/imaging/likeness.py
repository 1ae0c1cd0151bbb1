"""A digest of what a clip shows, which is the same after a re-export: other UIDs, compression, size, a few frames less.

It is the mean of the frames of each pane on a coarse grid, less its slow changes over the picture, at even local
contrast. Breathing, speckle and the bolus average out over a clip; what is left is the patient's own tissue. What never
changes is the machine's (rulers, logos, the rim of the fan) and counts for nothing.
docs/decisions.md has the figures that the limit was set on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from client.data.imaging.recording import U8, spread_indices

I8 = npt.NDArray[np.int8]
F32 = npt.NDArray[np.float32]

ALIKE = 0.55
"""Of two clips with a greater likeness one is a copy of the other: copies have 0.75 and more, others 0.43 at most."""
FRAMES = 100
"""So many frames, evenly over a clip, are as good as all."""
_SIDE, _MASK_SIDE = 32, 96
"""Of the digest, and of the grid on which places that never change are left out."""
_COVER = 0.25
"""Least share of a place of the digest that must change."""
_SIGMA = 2.0
_MOVES = 1.0
"""Standard deviation over time, levels, from which on a place is part of the picture."""
_CONTRAST = 1.0
_SCALE = 127.0 / 8.0
"""Values are within a few standard deviations of the local contrast."""


def compute_likeness(contrast: Sequence[U8], bmode: Sequence[U8] | None) -> I8:
    """The digest i8 (2 side side) of a clip's panes (t h w): contrast and B-mode, whose part is 0 where there is none.

    It holds no name and no text, but a faint picture of the patient's tissue: it stays at the site.
    """
    panes = [_digest_pane(pane) if pane else np.zeros((_SIDE, _SIDE), np.int8) for pane in (contrast, bmode)]
    return np.stack(panes)


def _digest_pane(frames: Sequence[U8]) -> I8:
    chosen = spread_indices(len(frames), FRAMES)
    small = np.stack([_shrink(frames[i], _MASK_SIDE) for i in chosen])
    still = (small.std(axis=0) <= _MOVES).astype(np.uint8)
    seen = (1 - cv2.dilate(still, np.ones((3, 3), np.uint8))).astype(np.float32)
    cover = _shrink(seen, _SIDE)
    moves = (cover > _COVER).astype(np.float32)
    mean = _shrink(small.mean(axis=0, dtype=np.float32) * seen, _SIDE) / np.maximum(cover, _COVER)
    share = _blur(moves) + np.float32(1e-3)
    fine = (mean - _blur(mean * moves) / share) * moves
    even = fine / (np.sqrt(_blur(fine**2) / share) + np.float32(_CONTRAST))
    centred = even - moves * even.sum() / max(float(moves.sum()), 1.0)
    return np.asarray(np.rint(centred * _SCALE).clip(-127, 127), dtype=np.int8)


def _shrink(picture: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _blur(values: F32) -> F32:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _SIGMA, borderType=cv2.BORDER_CONSTANT), dtype=np.float32)


def compare_likeness(one: I8, others: I8) -> F32:
    """The likeness (n), -1 to 1, of a clip's digest (2 h w) with others (n 2 h w).

    It is the mean correlation of the panes that both have, 0 where they have none in common.
    """
    ours, theirs = one.reshape(2, -1).astype(np.float32), others.reshape(len(others), 2, -1).astype(np.float32)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=2)  # (n 2)
    both = norms > 0
    found = np.where(both, np.einsum("pk,npk->np", ours, theirs) / np.where(both, norms, 1.0), 0.0)
    return np.asarray(found.sum(axis=1) / np.maximum(both.sum(axis=1), 1), dtype=np.float32)
