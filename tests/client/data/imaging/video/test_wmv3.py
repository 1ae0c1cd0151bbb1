"""VC-1 as Windows Media 9 writes it (WMV3): every frame comes back with the levels that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_wmv3 import BLOCK, Levels, luma, predicted, write_wmv3

from client.data.imaging.video import reader as video

ROWS, COLUMNS, FRAMES = 6, 8, 12


def mosaic(seed: int) -> Levels:
    """Blocks that differ by up to 7 from what they are predicted from, as the tables of `made_wmv3` can say."""
    draw = np.random.default_rng(seed)
    blocks = np.zeros((ROWS, COLUMNS), np.int64)
    for row in range(0, ROWS, 2):
        for column in range(0, COLUMNS, 2):
            for place in ((row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)):
                blocks[place] = predicted(blocks, *place) + draw.integers(-7, 8)
    return blocks


def test_every_block_of_every_frame_has_its_level(tmp_path: Path) -> None:
    mosaics = [mosaic(seed) for seed in range(FRAMES)]
    write_wmv3(tmp_path / "a.avi", mosaics, rate=10)
    recording = video.open(tmp_path / "a.avi")
    pictures = [picture.copy() for picture in recording.pictures()]
    assert len(pictures) == FRAMES == recording.length()
    assert np.allclose(recording.times(FRAMES, None).seconds, np.arange(FRAMES) / 10, atol=1e-6)
    for picture, blocks in zip(pictures, mosaics, strict=True):
        shown = picture.reshape(ROWS, BLOCK, COLUMNS, BLOCK, 3).swapaxes(1, 2).astype(np.float64)
        assert np.ptp(shown, axis=(2, 3)).max() == 0, "blocks are flat"
        levels = 16 + shown[:, :, 0, 0] @ np.array([65.481, 128.553, 24.966]) / 255  # BT.601, R G B
        assert np.abs(levels - luma(blocks)).max() <= 2.0, "the way to RGB and back"
    assert len({picture.tobytes() for picture in pictures}) == FRAMES
