"""The outline of a plan says what the plan says, for every plan that comes with fedceus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ceus_models.plan.plan import load_plan
from ceus_models.plan.train_stage import Train
from ceus_models.plan.words.outline import parse_values, read_outline
from ceus_models.runtime.errors import ExpectedError

PLANS = sorted((Path(__file__).parents[4] / "configs").glob("plan.*.yaml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_it_is_the_plan(path: Path) -> None:
    plan = load_plan(path)
    outline = read_outline(parse_values(plan.canonical()))
    assert outline.least_sites() == plan.least_sites()
    assert (outline.processing, outline.quorum, outline.deadlines) == (plan.processing, plan.quorum, plan.deadlines)
    for found, stage in zip(outline.stages, plan.stages, strict=True):
        assert (found.name, found.level) == (stage.name, getattr(stage, "level", "none"))
        if isinstance(stage, Train):
            assert found.rounds + found.count_validations() == stage.steps()
            assert found.list_trained_nets(plan.sharing) == stage.list_trained_nets(plan.sharing)
            assert found.rule == stage.rule


@pytest.mark.parametrize("text", ["", "[", "[1]", "{", '{"name": "a\\u001b[2J"}', '{"a\\nb": 1}', '{"a": ["\\u202e"]}'])
def test_what_is_no_plan_or_would_be_obeyed_by_a_terminal_is_refused(text: str) -> None:
    with pytest.raises(ExpectedError, match="expected a plan as JSON"):
        parse_values(text)


def test_a_plan_of_another_version_is_said_to_be_one() -> None:
    values = json.loads(load_plan(PLANS[0]).canonical())
    values["stages"][2]["level"] = "absolute"
    with pytest.raises(ExpectedError, match=r"another form at 'stages\[2\].level'"):
        read_outline(values)
