"""Flow as colours: the hue turns with the direction."""

from __future__ import annotations

import numpy as np
import pytest

from client.data.sheets.flow_colours import flow_colours


def test_flow_colours_turn_with_the_direction_and_darken_with_rest() -> None:
    right, left = (
        flow_colours(np.array([[[2.0]], [[0.0]]], np.float32), 2.0),
        flow_colours(np.array([[[-2.0]], [[0.0]]], np.float32), 2.0),
    )
    assert right[0, 0] == pytest.approx([1, 0, 0])
    assert left[0, 0] == pytest.approx([0, 1, 1])
    assert flow_colours(np.zeros((2, 1, 1), np.float32), 2.0).max() == 0
    assert flow_colours(np.array([[[1.0]], [[0.0]]], np.float32), 2.0)[0, 0] == pytest.approx([0.5, 0, 0])
