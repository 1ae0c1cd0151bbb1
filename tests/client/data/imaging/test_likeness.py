"""Digests of clips: the same for the same pictures, whichever frames were kept, and nothing where nothing moves."""

from __future__ import annotations

import numpy as np
import pytest
from made_clips import speckle_clip

from client.data.imaging.likeness import ALIKE, compare_likeness, compute_likeness


def digest(seed: int, frames: slice = slice(None), bmode: bool = True) -> np.ndarray:
    clip = speckle_clip(seed)
    return compute_likeness(list(clip.contrast[frames]), list(clip.bmode[frames]) if bmode else None)


@pytest.mark.parametrize("frames", [slice(5, None), slice(None, -5), slice(0, None, 3), slice(10, 90)])
def test_a_clip_is_like_itself_with_other_frames(frames: slice) -> None:
    others = np.stack([digest(1, frames), digest(2), digest(3)])
    found = compare_likeness(digest(1), others)
    assert found[0] > ALIKE + 0.1
    assert found[1:].max() < ALIKE - 0.1


def test_a_clip_without_its_bmode_pane_is_compared_by_the_other_one() -> None:
    assert compare_likeness(digest(1), digest(1, bmode=False)[None])[0] > 0.95


def test_levels_and_tints_of_another_gain_change_nothing() -> None:
    clip = speckle_clip(4)
    dim = compute_likeness(list(clip.contrast // 2), list((clip.bmode // 3 + 20).astype(np.uint8)))
    assert compare_likeness(digest(4), dim[None])[0] > ALIKE + 0.1


def test_stills_and_black_panes_are_like_nothing() -> None:
    still = compute_likeness([speckle_clip(1).contrast[50]] * 20, None)
    black = compute_likeness([np.zeros((40, 50), np.uint8)] * 20, None)
    assert not still.any()
    assert compare_likeness(still, np.stack([still, black, digest(1)])).tolist() == [0.0, 0.0, 0.0]
