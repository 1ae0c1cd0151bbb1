"""Changing a plan by path: what is set, what is left alone, and what a wrong path is told."""

from __future__ import annotations

from typing import Any

import pytest

from ceus_models.runtime.errors import ExpectedError
from sim.experiments.overrides import (
    OverrideError,
    apply_overrides,
    format_path,
    parse_settings,
    resolve_path,
    trim_path,
)

PLAN: dict[str, Any] = {
    "name": "p",
    "processing": {"size": 32},
    "stages": [{"stage": "hello"}, {"stage": "train", "name": "submodels", "rule": {"epochs": 2, "clip": 2.0}}],
}


def test_a_path_sets_one_value_and_leaves_the_plan_as_it_was() -> None:
    sets = {"processing.size": 64, "stages.submodels.rule.epochs": 1, "architecture.norm": "group"}
    changed = apply_overrides(PLAN, (), sets)
    assert changed["processing"] == {"size": 64}
    assert changed["stages"][1]["rule"] == {"epochs": 1, "clip": 2.0}
    assert changed["architecture"] == {"norm": "group"}
    assert PLAN["processing"] == {"size": 32}
    assert PLAN["stages"][1]["rule"]["epochs"] == 2


def test_a_mapping_is_replaced_as_a_whole() -> None:
    assert apply_overrides(PLAN, (), {"stages.submodels.rule": {"epochs": 3}})["stages"][1]["rule"] == {"epochs": 3}


def test_a_stage_is_left_out_by_its_name() -> None:
    assert [stage["stage"] for stage in apply_overrides(PLAN, ("hello",), {})["stages"]] == ["train"]


@pytest.mark.parametrize(
    ("drop", "path", "text"),
    [
        ((), "stages.fusion.rounds", "found 'fusion'; use one of hello, submodels"),
        (("fusion",), "", "found 'fusion'"),
        ((), "stages.submodels", "one key of a stage"),
        ((), "name.first", "expected name to have keys"),
    ],
)
def test_a_wrong_path_is_told(drop: tuple[str, ...], path: str, text: str) -> None:
    with pytest.raises(OverrideError, match=text):
        apply_overrides(PLAN, drop, {path: 1} if path else {})


def test_places_and_paths_are_each_others_opposite() -> None:
    place = resolve_path(PLAN, "stages.submodels.rule.epochs")
    assert place == ("stages", 1, "rule", "epochs")
    assert format_path(PLAN, place) == "stages.submodels.rule.epochs"
    assert format_path(PLAN, ("processing", "size")) == "processing.size"
    assert trim_path(PLAN, ("stages", 1, "train", "rule", "epochs")) == place


def test_settings_of_the_command_line_are_yaml() -> None:
    assert parse_settings(["stages.submodels.rounds=4", "a.b={name: fedprox, mu: 0.1}"]) == {
        "stages.submodels.rounds": 4,
        "a.b": {"name": "fedprox", "mu": 0.1},
    }
    with pytest.raises(ExpectedError, match="PATH=VALUE"):
        parse_settings(["rounds"])
