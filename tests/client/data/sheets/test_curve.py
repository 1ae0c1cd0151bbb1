"""No line is drawn where nothing was seen."""

from __future__ import annotations

import numpy as np

from client.data.sheets.curve import break_at_gaps, compute_time_span


def test_a_curve_is_broken_where_nothing_was_seen() -> None:
    seconds = np.array([0.0, 0.5, 1.0, 60.0, 60.5])
    places, values = break_at_gaps(seconds, seconds * 2)
    assert np.flatnonzero(np.isnan(places)).tolist() == [3]
    assert np.flatnonzero(np.isnan(values)).tolist() == [3]
    assert compute_time_span(np.array([4.0])) == (3.5, 4.5)
