"""What the sheets share: flow in colour, curves with gaps, files that appear whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from client.data.sheets.drawing import broken, flow_colours, save, span


def test_flow_colours_turn_with_the_direction_and_darken_with_rest() -> None:
    right, left = (
        flow_colours(np.array([[[2.0]], [[0.0]]], np.float32), 2.0),
        flow_colours(np.array([[[-2.0]], [[0.0]]], np.float32), 2.0),
    )
    assert right[0, 0] == pytest.approx([1, 0, 0])
    assert left[0, 0] == pytest.approx([0, 1, 1])
    assert flow_colours(np.zeros((2, 1, 1), np.float32), 2.0).max() == 0
    assert flow_colours(np.array([[[1.0]], [[0.0]]], np.float32), 2.0)[0, 0] == pytest.approx([0.5, 0, 0])


def test_a_curve_is_broken_where_nothing_was_seen() -> None:
    seconds = np.array([0.0, 0.5, 1.0, 60.0, 60.5])
    places, values = broken(seconds, seconds * 2)
    assert np.flatnonzero(np.isnan(places)).tolist() == [3]
    assert np.flatnonzero(np.isnan(values)).tolist() == [3]
    assert span(np.array([4.0])) == (3.5, 4.5)


def test_a_picture_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "a.png"
    save(Figure(figsize=(1, 1)), path, 50)
    assert cv2.imread(str(path)).shape == (50, 50, 3)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save(Figure(figsize=(2, 2)), path, 50)
    assert path.read_bytes() == before
