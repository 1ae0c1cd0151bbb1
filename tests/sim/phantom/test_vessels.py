from __future__ import annotations

import numpy as np
import pytest

from sim.phantom.vessels import REACH_MM, draw_hepatic_tree, draw_portal_tree, map_vessels

PANE, SCALE = (120, 120), 1.0


def test_a_branch_divides_by_the_law_of_murray() -> None:
    forks = 0
    for seed in range(40):
        tree = draw_portal_tree(PANE, SCALE, np.random.default_rng(seed))
        for parent in tree:
            children = [b for b in tree if b is not parent and np.array_equal(b.path[0], parent.path[-1])]
            assert len(children) <= 2
            total = sum(child.radius_mm**3 for child in children)
            assert total <= parent.radius_mm**3 * (1 + 1e-9)
            if len(children) == 2:  # else one is too small, or leaves the plane
                forks += 1
                assert total == pytest.approx(parent.radius_mm**3)
    assert forks > 20


def test_all_branches_hang_together() -> None:
    for draw in (draw_portal_tree, draw_hepatic_tree):
        for seed in range(20):
            tree = draw(PANE, SCALE, np.random.default_rng(seed))
            ends = [branch.path[-1] for branch in tree]
            for branch in tree[1:]:
                assert any(np.array_equal(branch.path[0], end) for end in ends)


def test_branches_wind() -> None:
    bends = []
    for seed in range(20):
        for branch in draw_portal_tree(PANE, SCALE, np.random.default_rng(seed)):
            way = np.hypot(*np.diff(branch.path, axis=0).T).sum()
            bends.append(way / np.hypot(*(branch.path[-1] - branch.path[0])))
    assert np.mean(bends) > 1.005


def test_the_map_is_the_distance_to_the_wall() -> None:
    rng = np.random.default_rng(3)
    trees = draw_portal_tree(PANE, SCALE, rng), draw_hepatic_tree(PANE, SCALE, rng)
    y, x = np.arange(120, dtype=np.float32)[:, None], np.arange(120, dtype=np.float32)[None, :]
    made = map_vessels(*trees, (y, x), SCALE)
    for tree, depth in ((trees[0], made.portal), (trees[1], made.hepatic)):
        assert depth.min() == pytest.approx(-REACH_MM)
        dense = [
            (a + (b - a) * t, one.radius_mm)
            for one in tree
            for a, b in zip(one.path, one.path[1:], strict=False)
            for t in np.linspace(0, 1, 60)
        ]
        exact = np.max([r - np.hypot(y - p[0], x - p[1]) for p, r in dense], axis=0)
        assert depth == pytest.approx(np.maximum(exact, -REACH_MM), abs=0.05)
    inside = made.artery > 0
    assert not (inside & (made.portal > 0.5)).sum() > 0.3 * inside.sum()
