"""The layout of a secure sum is the task's alone, and its counts say which groups are real."""

from __future__ import annotations

import torch

from ceus_models.plan.answers.answer_schema import groups_of
from ceus_models.plan.answers.secure_layout import BOUND, add_site_counts, list_layout, split_site_counts
from ceus_models.protocol.messages import Task
from ceus_models.protocol.privacy.fixed_point import pack_integers, unpack_totals

TALLY = Task("tally", "plan", 1, "statistics", 0, cohorts=("training_a", "training_b"), level="sums")
TRAIN = Task(
    "train", "plan", 1, "stage", 1, ("x", "y"), ("training_a",),
    {"x|w": torch.ones(2), "y|w": torch.ones(3), f"x|{BOUND}": torch.ones(2), f"y|{BOUND}": torch.ones(2)},
    level="sums",
)  # fmt: skip


def sums_of(task: Task, *groups: str) -> dict[str, torch.Tensor]:
    return {
        name: torch.ones(spec.shape, dtype=spec.dtype)
        for group in groups
        for name, spec in groups_of(task)[group].items()
    }


def add(task: Task, *sites: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    layout = list_layout(task)
    return unpack_totals(sum(pack_integers(site, layout, 3) for site in sites), layout)  # type: ignore[arg-type]


def test_absent_groups_are_left_out_and_zeros_that_were_given_stay():
    zeros = {name: torch.zeros_like(t) for name, t in sums_of(TALLY, "training_a").items()}
    total = split_site_counts(add(TALLY, add_site_counts(zeros, TALLY, ()), add_site_counts({}, TALLY, ())), TALLY)
    assert total.sums.keys() == groups_of(TALLY)["training_a"].keys()
    assert not total.clipped


def test_clipped_changes_are_counted():
    sums = sums_of(TRAIN, "x", "y")
    sites = [add_site_counts(sums, TRAIN, clipped) for clipped in (("x",), ("x",), ())]
    total = split_site_counts(add(TRAIN, *sites), TRAIN)
    assert total.clipped == {"x": 2}
    assert total.sums["x|w"].tolist() == [3.0, 3.0]
    assert set(total.sums) == set(sums)


def test_names_beside_the_layout_do_not_leave():
    sums = {**sums_of(TRAIN, "x"), "x|extra": torch.ones(1), "secret": torch.ones(1)}
    assert set(add_site_counts(sums, TRAIN, ())) <= set(list_layout(TRAIN))


def test_with_noise_nothing_else_travels():
    noised = Task(**{**vars(TALLY), "level": "distributed"})
    assert list(list_layout(noised)) == [name for group in groups_of(noised).values() for name in group]
    sums = sums_of(noised, "training_a")
    assert add_site_counts(sums, noised, ()).keys() == sums.keys()
    assert split_site_counts(add(noised, sums), noised).sums.keys() == list_layout(noised).keys()
