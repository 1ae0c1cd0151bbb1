from __future__ import annotations

import numpy as np
import pytest

from sim.phantom.vessels import (
    NARROWED_MM,
    NARROWED_WITHIN_MM,
    PUSHED_TO,
    PUSHED_WITHIN,
    REACH_MM,
    Branch,
    bend_around,
    draw_hepatic_tree,
    draw_portal_tree,
    map_vessels,
    narrow_beside,
)

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


def _bend(tree: tuple[Branch, ...], middle: tuple[float, float] = (60.0, 60.0)) -> tuple[Branch, ...]:
    """The tree around a disc of 20 px."""
    return bend_around(tree, middle, lambda angle: np.full(angle.shape, 20.0))


def test_no_branch_runs_into_a_lesion_and_all_still_hang_together() -> None:
    pushed = ended = 0
    for draw in (draw_portal_tree, draw_hepatic_tree):
        for seed in range(60):
            before = draw(PANE, SCALE, np.random.default_rng(seed))
            after = _bend(before)
            ended += len(before) - len(after)
            ends = [branch.path[-1] for branch in after]
            for branch in after:
                away = np.hypot(branch.path[:, 0] - 60, branch.path[:, 1] - 60)
                assert away.min() >= 20 * PUSHED_TO - 1e-9
                pushed += bool((away < 20 * PUSHED_WITHIN).any())
            for branch in after[1:]:
                assert any(np.allclose(branch.path[0], end) for end in ends)
    assert min(pushed, ended) > 20


def test_a_branch_beside_a_lesion_bends_and_one_that_meets_it_ends() -> None:
    y = np.linspace(10, 110, 41)
    passing, far, meeting = (Branch(np.stack([y, np.full(41, x)], axis=1), 2.0) for x in (78.0, 100.0, 61.0))
    beyond = Branch(np.array([[110.0, 61.0], [119.0, 61.0]]), 1.5)
    found = _bend((passing, far, meeting, beyond))
    assert len(found) == 3
    bent = found[0].path
    assert bent[[0, -1]] == pytest.approx(passing.path[[0, -1]])
    assert bent[:, 1].max() > 82
    assert found[1] is far or np.array_equal(found[1].path, far.path)
    assert found[2].path[-1, 0] < 60, "it ends on the side from which it came"


def test_vessels_narrow_beside_a_lesion_alone() -> None:
    trees = (
        draw_portal_tree(PANE, SCALE, np.random.default_rng(1)),
        draw_hepatic_tree(PANE, SCALE, np.random.default_rng(2)),
    )
    y, x = np.arange(120, dtype=np.float32)[:, None], np.arange(120, dtype=np.float32)[None, :]
    made = map_vessels(*trees, (y, x), SCALE)
    inside_mm = np.asarray(20 - np.hypot(y - 60, x - 60), dtype=np.float32)
    narrow = narrow_beside(made, inside_mm)
    far, near = inside_mm < -NARROWED_WITHIN_MM, inside_mm > 0
    for before, after, share in ((made.portal, narrow.portal, 1), (made.artery, narrow.artery, 0.3)):
        assert np.array_equal(after[far], before[far])
        assert after[near] == pytest.approx(before[near] - share * NARROWED_MM, abs=1e-5)
        assert (after <= before).all()


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
