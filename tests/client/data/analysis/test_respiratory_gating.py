"""Respiratory gating: the deepest part of each breath is left out, and nothing of a lesion that stands still."""

from __future__ import annotations

import numpy as np

from client.data.analysis.respiratory_gating import find_deep_breaths

SECONDS = np.arange(0, 60, 0.2)
ALL = np.ones(len(SECONDS), dtype=bool)
DEPTH = 12 * np.sin(np.pi * SECONDS / 4) ** 6
SHIFT = np.stack([0.4 * DEPTH + 0.05 * SECONDS, DEPTH], axis=1).astype(np.float32)
"""Breaths of 12 px while the hand drifts."""


def test_the_deepest_part_of_each_breath_is_found() -> None:
    found = find_deep_breaths(SHIFT, SECONDS, ALL)
    assert DEPTH[found].min() > 5
    assert found[DEPTH > 10].all()
    assert 0.15 < found.mean() <= 0.2


def test_only_frames_that_count_are_left_out() -> None:
    seen = SECONDS >= 30
    wild = SHIFT.copy()
    wild[~seen] = np.random.default_rng(0).uniform(-30, 30, (int((~seen).sum()), 2))
    found = find_deep_breaths(wild, SECONDS, seen)
    assert not found[~seen].any()
    assert found[seen & (DEPTH > 10)].all()


def test_a_lesion_that_hardly_moves_keeps_all_its_frames() -> None:
    assert not find_deep_breaths(0.1 * SHIFT, SECONDS, ALL).any()
    assert not find_deep_breaths(SHIFT, SECONDS, ~ALL).any()


def test_another_place_after_a_gap_is_no_breath() -> None:
    seconds = np.concatenate([SECONDS, 90 + SECONDS[:25], [200.0]])
    shift = np.concatenate([SHIFT, SHIFT[:25] + 20, SHIFT[:1] - 15]).astype(np.float32)
    found = find_deep_breaths(shift, seconds, np.ones(len(seconds), dtype=bool))
    assert found[300:].mean() < 0.5
    assert not found[-1]
