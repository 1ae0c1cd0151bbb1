"""Levels of panes from whole pictures: what lies in the box, by the pane's own colours."""

from __future__ import annotations

import numpy as np
import pytest

from client.data.imaging.pane_levels import convert_pictures
from client.data.imaging.recording import ClipError, Glances
from client.data.imaging.tint import TINTS


def test_each_pane_is_cut_and_its_tint_undone() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30] = TINTS["gold"].forward()[144]
    picture[:, 30:] = 77
    panes = [((0, 10, 30, 40), TINTS["gold"]), ((30, 10, 60, 40), TINTS["grey"])]
    for gold, grey in convert_pictures([picture, picture], panes, Glances(panes[0][0])):
        assert gold.shape == grey.shape == (30, 30)
        assert (gold == 144).all()
        assert (grey == 77).all()


def test_a_picture_of_another_size_ends_the_clip() -> None:
    pictures = [np.zeros((40, 60, 3), np.uint8), np.zeros((40, 50, 3), np.uint8)]
    with pytest.raises(ClipError, match="another size"):
        list(convert_pictures(pictures, [((20, 0, 60, 40), TINTS["grey"])], Glances((0, 0, 9, 9))))


def test_the_pictures_that_are_asked_for_are_kept_as_shown() -> None:
    shown = [np.full((40, 60, 3), (number, 2 * number, 0), np.uint8) for number in range(5)]
    glances = Glances((10, 20, 30, 40), frozenset({1, 3}))
    for _ in convert_pictures(shown, [((0, 0, 60, 40), TINTS["grey"])], glances):
        pass
    assert [picture.shape for picture in glances.pictures] == [(20, 20, 3)] * 2
    assert [picture[0, 0].tolist() for picture in glances.pictures] == [[1, 2, 0], [3, 6, 0]]
