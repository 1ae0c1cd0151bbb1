"""Levels of panes from whole pictures: what lies in the box, by the pane's own colours."""

from __future__ import annotations

import numpy as np
import pytest

from client.data.imaging.pane_levels import convert_pictures
from client.data.imaging.recording import ClipError
from client.data.imaging.tint import TINTS


def test_each_pane_is_cut_and_its_tint_undone() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30] = TINTS["gold"].forward()[144]
    picture[:, 30:] = 77
    panes = [((0, 10, 30, 40), TINTS["gold"]), ((30, 10, 60, 40), TINTS["grey"])]
    for gold, grey in convert_pictures([picture, picture], panes):
        assert gold.shape == grey.shape == (30, 30)
        assert (gold == 144).all()
        assert (grey == 77).all()


def test_a_picture_of_another_size_ends_the_clip() -> None:
    pictures = [np.zeros((40, 60, 3), np.uint8), np.zeros((40, 50, 3), np.uint8)]
    with pytest.raises(ClipError, match="another size"):
        list(convert_pictures(pictures, [((20, 0, 60, 40), TINTS["grey"])]))
