"""Flow as colours: the hue turns with the direction."""

from __future__ import annotations

import numpy as np
import pytest

from client.data.sheets.flow_colours import colour_flow


def test_flow_colours_turn_with_the_direction_and_darken_with_rest() -> None:
    right, left = (
        colour_flow(np.array([[[2.0]], [[0.0]]], np.float32), 2.0),
        colour_flow(np.array([[[-2.0]], [[0.0]]], np.float32), 2.0),
    )
    assert right[0, 0] == pytest.approx([1, 0, 0])
    assert left[0, 0] == pytest.approx([0, 1, 1])
    assert colour_flow(np.zeros((2, 1, 1), np.float32), 2.0).max() == 0
    assert colour_flow(np.array([[[1.0]], [[0.0]]], np.float32), 2.0)[0, 0] == pytest.approx([0.5, 0, 0])
