"""Frames as a clip holds them, from an array."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from client.data.imaging.frame_store import FrameFile, Frames


def tape_of(levels: npt.NDArray[np.uint8]) -> FrameFile:
    """A tape with these frames (t h w)."""
    tape = FrameFile(*levels.shape[1:], None)
    for frame in levels:
        tape.add(frame)
    return tape


def frames_of(levels: npt.NDArray[np.uint8]) -> Frames:
    """The frames (t h w) of a pane."""
    return tape_of(levels).to_frames()
